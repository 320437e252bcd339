package sasl

import "slices"

// scram chooses among the mechanisms of RFC 5802 by the rules for clients of XEP-0440 v1.0, with rule 6 as XEP-0474 v0.5 changed it. If
// any of them could be used at all, the answer is one of them or nothing.
func (s *selection) scram() verdict {
	if s.credentials.Password.IsZero() {
		return next
	}
	bound, unbound := s.scramCandidates()
	if bound == "" && unbound == "" {
		return next
	}
	if s.policy.IgnoreBinding && !s.policy.RequireBinding && unbound != "" {
		return s.use(Choice{Mechanism: unbound, Flag: FlagNone}) // rule 2
	}
	binding, reason := s.commonBinding()
	switch {
	case reason != nil:
		return s.stop(reason)
	case binding != "" && bound != "": // rule 7: the strongest that both have
		return s.use(Choice{Mechanism: bound, Flag: FlagPlus, Binding: binding})
	case s.policy.RequireBinding:
		return s.stop(ErrNotBound)
	case unbound == "":
		return s.stop(ErrNoCommonBinding)
	}
	offersBinding := s.offer.offersPlus() || len(s.offer.Bindings) > 0
	c := Choice{Mechanism: unbound, Flag: FlagNone, NeedHash: offersBinding}
	if s.channel.encrypted() && !offersBinding {
		// Rule 3. Had somebody removed all that spoke of channel binding, the server would see by this that something is wrong.
		c.Flag = FlagYes // guard: SEC-44 (rule 3)
	}
	return s.use(c)
}

// scramCandidates returns the strongest offered mechanism with -PLUS, and without, of those that may be used.
func (s *selection) scramCandidates() (bound, unbound string) {
	for _, h := range scramHashes() {
		m := scramPrefix + h.name
		for _, m := range []string{m + plusSuffix, m} {
			switch {
			case !slices.Contains(s.offer.Mechanisms, m) || !s.policy.permits(m):
			case h.strength < s.policy.Minimum: // guard: SEC-43 (minimum)
				s.refuse(m, ErrTooWeak)
			case isPlus(m) && bound == "":
				bound = m
			case !isPlus(m) && unbound == "":
				unbound = m
			}
		}
	}
	return bound, unbound
}

// commonBinding returns the strongest type of channel binding that both sides have, or "", or why the offer cannot be honest.
func (s *selection) commonBinding() (string, error) {
	if !s.channel.encrypted() {
		return "", nil // rule 2: nothing to bind to
	}
	plus, types := s.offer.offersPlus(), s.offer.Bindings
	if plus && len(types) == 0 {
		if s.offer.Protocol == SASL2 { // guard: SEC-44 (rule 4)
			return "", ErrTypesStripped
		}
		// Rule 4 leaves it open with SASL1, whose servers may be older than XEP-0440: the type that all must have, or nothing.
		types = []string{TLSServerEndPoint}
		if _, ok := s.channel.binding(TLSServerEndPoint); !ok {
			return "", ErrTypesStripped
		}
	}
	if !plus && len(types) > 0 { // guard: SEC-44 (rule 5)
		return "", ErrPlusStripped
	}
	for _, b := range s.channel.Bindings {
		if slices.Contains(types, b.Type) {
			return b.Type, nil
		}
	}
	return "", nil
}

// stop refuses all of SCRAM, and what comes after it.
func (s *selection) stop(reason error) verdict {
	for _, m := range s.offer.Mechanisms {
		_, ok := scramHashOf(m)
		if ok && !slices.ContainsFunc(s.refusals, func(r Refusal) bool { return r.Mechanism == m }) {
			s.refuse(m, reason)
		}
	}
	return stop
}

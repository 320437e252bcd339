package xmpptool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/doctor"
	"github.com/postern-im/postern/sasl"
)

// offers examines what a server offers, and reports whether it could be seen.
func (e *examination) offers(ctx context.Context, v visit) bool {
	s, err := v.look(ctx, e.anyCertificate(), false)
	if err != nil {
		e.unseen(err)
		return false
	}
	e.encryption(ctx, v, s)
	verified := e.certificate(s.tls)
	if !v.direct && len(s.clear.Mechanisms) > 0 {
		e.add(stepOffer, doctor.Warn, "signing in is offered outside of TLS: "+listed(s.clear.Mechanisms),
			"A client that takes this shows its password to whoever listens. Prosody: c2s_require_encryption = true; ejabberd: starttls_required: true.")
	}
	e.signInOffers(s, verified)
	return true
}

// anyCertificate is a configuration that takes any certificate, to have a look at it, and at what is behind.
func (e *examination) anyCertificate() *tls.Config {
	return &tls.Config{ServerName: e.name, MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // it is looked at afterwards, and nothing secret is sent
}

// unseen tells why a server could not be looked at.
func (e *examination) unseen(err error) {
	p := explain(err)
	step := stepOffer
	var end *client.Error
	switch {
	case !errors.As(err, &end):
	case end.Stage == client.StageTLS:
		step = stepTLS
	case end.Stage == client.StageDial:
		step = stepPort
	}
	e.add(step, doctor.Fail, clean(p.Error()), p.remedy)
}

// encryption says which versions of TLS the server takes.
func (e *examination) encryption(ctx context.Context, v visit, s sight) {
	takes := []string{tls.VersionName(s.tls.Version)}
	how := "by STARTTLS"
	if v.direct {
		how = "from the first byte on"
	}
	if s.tls.Version > tls.VersionTLS12 {
		cfg := e.anyCertificate()
		cfg.MaxVersion = tls.VersionTLS12
		if _, err := v.look(ctx, cfg, true); err == nil {
			takes = append(takes, tls.VersionName(tls.VersionTLS12))
		}
	}
	old := e.anyCertificate()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 // nothing is sent over it
	if o, err := v.look(ctx, old, true); err == nil {
		e.add(stepTLS, doctor.Warn, fmt.Sprintf("%s %s, and also the broken %s", strings.Join(takes, " and "), how, tls.VersionName(o.tls.Version)),
			"Prosody: ssl = { protocol = \"tlsv1_2+\" }; ejabberd: c2s_protocol_options: [no_sslv3, no_tlsv1, no_tlsv1_1].")
		return
	}
	if s.tls.Version < tls.VersionTLS13 {
		e.add(stepTLS, doctor.Warn, fmt.Sprintf("%s %s, and no TLS 1.3", takes[0], how), "Update the server's TLS library, or take the limit out of its configuration.")
		return
	}
	e.add(stepTLS, doctor.OK, fmt.Sprintf("%s %s, nothing older", strings.Join(takes, " and "), how), "")
}

// signInOffers says how clients can sign in.
func (e *examination) signInOffers(s sight, verified bool) {
	f := s.inner
	if len(f.Mechanisms) == 0 && f.SASL2 == nil {
		e.add(stepSASL, doctor.Fail, "the server offers no way to sign in", "See to its modules: saslauth on Prosody; ejabberd has it built in, with auth_method.")
		return
	}
	e.open = true
	channel := sasl.NewChannel(&s.tls, verified)
	if len(f.Mechanisms) > 0 {
		e.mechanisms(stepSASL, sasl.Offer{Protocol: sasl.SASL1, Mechanisms: f.Mechanisms, Bindings: f.Bindings}, channel, "")
	}
	if two := f.SASL2; two != nil {
		offer := sasl.Offer{Protocol: sasl.SASL2, Mechanisms: two.Mechanisms, Bindings: f.Bindings, FAST: two.FAST, Upgrades: two.Upgrades}
		e.mechanisms(stepSASL2, offer, channel, extras(two))
	} else {
		e.add(stepSASL2, doctor.Warn, "not offered: signing in takes more round trips than it need",
			"Prosody 13: enable sasl2, sasl2_bind2, sasl2_sm and sasl2_fast of its community modules. ejabberd has it from 24.02 on.")
	}
	e.binding(f, channel)
}

// extras lists what a server does within a sign-in by SASL2.
func extras(two *client.SASL2Features) string {
	var list []string
	if two.Bind2 {
		list = append(list, "Bind 2")
	}
	if two.Resume {
		list = append(list, "resumption")
	}
	if len(two.FAST) > 0 {
		list = append(list, "fast sign-in")
	}
	if len(two.Upgrades) > 0 {
		list = append(list, "upgrades ("+listed(two.Upgrades)+")")
	}
	if len(list) == 0 {
		return ""
	}
	return ", with " + strings.Join(list, ", ")
}

// mechanisms lists what is offered and says what a client with a password makes of it.
func (e *examination) mechanisms(step string, offer sasl.Offer, channel sasl.Channel, more string) {
	summary := listed(offer.Mechanisms) + more
	who := sasl.Credentials{Username: "check", Domain: e.name, Password: sasl.NewSecret("none")} // only the choice is asked for
	choice, err := sasl.Choose(offer, channel, who, sasl.Policy{})
	switch {
	case err == nil:
		e.add(step, doctor.OK, summary+"; a client takes "+choice.Mechanism, "")
	case errors.Is(err, sasl.ErrPlusStripped), errors.Is(err, sasl.ErrTypesStripped):
		e.add(step, doctor.Fail, summary+"; careful clients refuse to sign in: the offer contradicts itself, as if somebody in between had changed it",
			reasons(err)+"\nIf nobody is in between, the server is configured so: channel binding needs -PLUS mechanisms and their types, both or neither.")
	case errors.Is(err, sasl.ErrPlaintext):
		e.add(step, doctor.Warn, summary+"; clients must show the server their password",
			"Have the server keep hashes and offer SCRAM. Prosody: authentication = \"internal_hashed\"; ejabberd: auth_password_format: scram.")
	default:
		e.add(step, doctor.Warn, summary+"; nothing of this is for a password", reasons(err))
	}
}

// reasons lists why mechanisms are not used, each reason once.
func reasons(err error) string {
	var none *sasl.RefusedError
	if !errors.As(err, &none) {
		return clean(err.Error())
	}
	var list []string
	for _, r := range none.Refused {
		if text := clean(r.Reason.Error()); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return listed(list)
}

// binding says whether a sign-in can be bound to the TLS channel (XEP-0440).
func (e *examination) binding(f client.Features, channel sasl.Channel) {
	const remedy = "Without it somebody with a false certificate for the domain can sit in between unseen.\n" +
		"Prosody offers it by itself behind its own TLS; for tls-server-end-point set tls_server_end_point_hash. ejabberd does with TLS of its own.\n" +
		"A proxy that ends TLS before the server makes it impossible."
	var ours []string
	for _, b := range channel.Bindings {
		if slices.Contains(f.Bindings, b.Type) {
			ours = append(ours, b.Type)
		}
	}
	switch {
	case len(f.Bindings) == 0:
		e.add(stepBinding, doctor.Warn, "no types of channel binding are named", remedy)
	case len(ours) == 0:
		e.add(stepBinding, doctor.Warn, listed(f.Bindings)+", none of which this connection has", remedy)
	default:
		e.add(stepBinding, doctor.OK, listed(f.Bindings)+"; this connection has "+strings.Join(ours, ", "), "")
	}
}

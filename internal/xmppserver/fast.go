package xmppserver

import (
	"crypto/rand"
	"strconv"
	"time"

	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/xmltree"
)

const nsFAST = "urn:xmpp:fast:0" // XEP-0484

// tokenLife is how long a token is good.
const tokenLife = time.Hour

// tokens are those of one user agent: the one that it has used, and the newest that was given out (XEP-0484 v0.2.0 section
// "Server-side handling of multiple active tokens").
type tokens struct{ current, fresh *token }

type token struct {
	mechanism string
	secret    sasl.Secret
	expiry    time.Time
	count     int // the highest that was used
}

// offerFAST is the feature inside SASL2.
func (s *Server) offerFAST(l *link) element {
	e := element{space: nsFAST, local: "fast", children: []element{{local: "mechanism", text: "HT-SHA-256-NONE"}}}
	for _, m := range []string{"HT-SHA-256-EXPR", "HT-SHA-256-UNIQ", "HT-SHA-256-ENDP"} {
		if typ, _ := sasl.TokenBinding(m); binding(s.channel(l), typ).Type != "" {
			e.children = append(e.children, element{local: "mechanism", text: m})
		}
	}
	return e
}

func agentID(auth xmltree.Element) string {
	agent, _ := auth.Child(nsSASL2, "user-agent")
	return agent.Attr("id")
}

// byToken signs somebody in with a token. more is the next token, where there is one.
func (s *Server) byToken(l *link, mechanism string, auth xmltree.Element, message []byte) (user *account, last string, more []element, err error) {
	fast, ok := auth.Child(nsFAST, "fast")
	name, err := sasl.TokenUser(message)
	if !ok || err != nil {
		return nil, "", nil, saslError("malformed-request")
	}
	count, err := strconv.Atoi(fast.Attr("count"))
	if err != nil && fast.Attr("count") != "" {
		return nil, "", nil, saslError("malformed-request")
	}
	typ, _ := sasl.TokenBinding(mechanism)
	bound := binding(s.channel(l), typ)
	if user = s.user(name); user == nil {
		return nil, "", nil, saslError("not-authorized")
	}
	agent := agentID(auth)
	invalidate := fast.Attr("invalidate") == "true" || fast.Attr("invalidate") == "1"

	u := &s.users
	u.mu.Lock()
	defer u.mu.Unlock()
	all := user.tokens[agent]
	if all == nil {
		return nil, "", nil, saslError("not-authorized")
	}
	for _, t := range []*token{all.fresh, all.current} {
		if t == nil || t.mechanism != mechanism {
			continue
		}
		proof, ok := sasl.VerifyToken(mechanism, t.secret, bound, message)
		switch {
		case !ok:
			continue
		case !time.Now().Before(t.expiry):
			return nil, "", nil, saslError("credentials-expired")
		case fast.Attr("count") != "" && count <= t.count:
			return nil, "", nil, saslError("not-authorized") // replayed
		}
		t.count = count
		all.current, all.fresh = t, nil
		switch {
		case invalidate:
			delete(user.tokens, agent)
		case u.wrongs.RotateTokens:
			more = []element{u.issue(user, agent, mechanism)}
		}
		if u.wrongs.UnprovenTokens {
			proof = nil
		}
		return user, string(proof), more, nil
	}
	return nil, "", nil, saslError("not-authorized")
}

// requestedToken returns the token that a client asked for along with another way to sign in.
func (s *Server) requestedToken(user *account, auth xmltree.Element) []element {
	request, ok := auth.Child(nsFAST, "request-token")
	if _, known := sasl.TokenBinding(request.Attr("mechanism")); !ok || !known || !s.cfg.FAST || agentID(auth) == "" {
		return nil
	}
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	return []element{s.users.issue(user, agentID(auth), request.Attr("mechanism"))}
}

// issue gives out a token. The lock must be held.
func (u *users) issue(user *account, agent, mechanism string) element {
	text := rand.Text()
	expiry := time.Now().Add(tokenLife).UTC().Truncate(time.Second)
	if u.wrongs.ExpiredTokens {
		expiry = expiry.Add(-2 * tokenLife)
	}
	if user.tokens[agent] == nil {
		user.tokens[agent] = new(tokens)
	}
	if !u.wrongs.VoidTokens {
		user.tokens[agent].fresh = &token{mechanism: mechanism, secret: sasl.NewSecret(text), expiry: expiry}
	}
	return element{space: nsFAST, local: "token", attrs: []string{"token", text, "expiry", expiry.Format(time.RFC3339)}}
}

// Wrongs is what a server does wrong in signing clients in, or does more often than others.
type Wrongs struct {
	RotateTokens   bool // each use of a token brings a new one, which is nothing wrong
	VoidTokens     bool // tokens that are given out are not accepted
	ExpiredTokens  bool // they have expired when they are given out
	UnprovenTokens bool // success for a token comes without the server's proof
	EarlyTasks     bool // a task is demanded without the proof of the mechanism before it
	BadSalt        bool // a task has a number of iterations that nobody should compute
}

// SetWrongs has the server behave so from now on.
func (s *Server) SetWrongs(w Wrongs) {
	s.users.mu.Lock()
	s.users.wrongs = w
	s.users.mu.Unlock()
}

// ForgetTokens makes all tokens of an account worthless.
func (s *Server) ForgetTokens(name string) {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	if a := s.users.find(name); a != nil {
		clear(a.tokens)
	}
}

// Tokens returns how many tokens of an account the server would take, and how often that in use was used.
func (s *Server) Tokens(name string) (tokens, count int) {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	a := s.users.find(name)
	if a == nil {
		return 0, 0
	}
	for _, all := range a.tokens {
		if all.fresh != nil {
			tokens++
		}
		if all.current != nil {
			tokens++
			count = max(count, all.current.count)
		}
	}
	return tokens, count
}

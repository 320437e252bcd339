package client

import (
	"context"
	"encoding/xml"
	"fmt"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/postern-im/postern/sasl"
	"github.com/postern-im/postern/xmltree"
)

// Fast sign-in with tokens, XEP-0484 v0.2.0.

// maxToken bounds a token, in bytes. Those of servers have about 50.
const maxToken = 1024

// recall reads what is remembered of the account. Without it nobody knows what the account must not be signed in with, so there is no
// sign-in then.
func (l *link) recall(ctx context.Context) error {
	c := l.c
	memo, err := c.cfg.Memory.Recall(ctx, c.cfg.JID.Bare())
	if err != nil {
		l.stage = StageSignIn
		return fmt.Errorf("client: what is remembered of the account: %w", err)
	}
	if memo.Pinned { // guard: SEC-43
		c.pinned.Store(true)
	}
	l.memo = memo
	return nil
}

// remember keeps what has changed. A failure is logged: what the next sign-in then lacks is a token at most, or the pin after the end
// of the process.
func (l *link) remember(ctx context.Context, m Memo) error {
	if m == l.memo {
		return nil
	}
	if err := l.c.cfg.Memory.Remember(ctx, l.c.cfg.JID.Bare(), m); err != nil {
		l.c.log.Error("what is to be remembered of the account is not kept", zap.Error(err))
		return err
	}
	l.memo = m
	return nil
}

// tokens reports whether the account signs in with tokens at all: a server issues them to a user agent that has an id.
func (c *Config) tokens() bool {
	return !c.NoSASL2 && !c.NoTokens && !c.Credentials.Anonymous && c.UserAgent.ID != ""
}

// credentials returns those of the configuration, with the token that is remembered: it is newer than one that is configured. One that
// the server has refused is none.
func (l *link) credentials() sasl.Credentials {
	cr := l.c.cfg.Credentials
	if t := l.memo.Token; l.c.cfg.tokens() && t.usable(l.c.cfg.UserAgent.ID) {
		cr.Token, cr.TokenFor = t.Secret, t.Mechanism
	}
	if l.noToken || cr.Token.Reveal() == l.c.refused.Reveal() {
		cr.Token, cr.TokenFor = sasl.Secret{}, ""
	}
	return cr
}

// dropToken forgets the token that the server has refused to an attempt.
func (l *link) dropToken(ctx context.Context, a *attempt) {
	l.c.log.Info("the server refuses the token", zap.String("mechanism", a.choice.Mechanism))
	l.c.refused = l.credentials().Token
	m := l.memo
	m.Token = Token{}
	_ = l.remember(ctx, m) // logged
}

// count counts the use of a token before it happens, so that no count is used twice, whatever becomes of the process. An error
// means that the token is not to be used now.
func (l *link) count(ctx context.Context) (int, error) {
	m := l.memo
	m.Token.Count++ // guard: SEC-54 (count)
	return m.Token.Count, l.remember(ctx, m)
}

// encodeFAST writes what an attempt says of tokens.
func (a *attempt) encodeFAST(enc *xmltree.Encoder) {
	if a.choice.IsToken() {
		enc.Start(xml.Name{Space: nsFAST, Local: "fast"})
		enc.Attr("count", strconv.Itoa(a.count))
		if a.invalidate {
			enc.Attr("invalidate", "true")
		}
		enc.End()
	}
	if a.wantsToken != "" {
		enc.Start(xml.Name{Space: nsFAST, Local: "request-token"})
		enc.Attr("mechanism", a.wantsToken)
		enc.End()
	}
}

// takeToken returns what is to be remembered after a success: the token that came with it takes the place of any other. The server has
// proved itself before this.
func (a *attempt) takeToken(m Memo, agent string, success xmltree.Element) Memo {
	if a.invalidate {
		m.Token = Token{}
		return m
	}
	mechanism := a.wantsToken
	if a.choice.IsToken() { // a new one is for what the old one was for
		mechanism = a.choice.Mechanism
	}
	el, ok := success.Child(nsFAST, "token")
	if !ok || mechanism == "" {
		return m
	}
	token := el.Attr("token")
	expiry, err := time.Parse(time.RFC3339, el.Attr("expiry")) // XEP-0082
	if err != nil || token == "" || len(token) > maxToken {
		return m
	}
	m.Token = Token{Secret: sasl.NewSecret(token), Mechanism: mechanism, Agent: agent, Expiry: expiry.UTC()}
	return m
}

// SignOut makes the token worthless with which the account would sign in the next time, here and on the server, to which it connects
// for that (XEP-0484 v0.2.0 section "Client requests token invalidation"). Without a token it does nothing. Serve must not run:
// then it returns ErrServing. What it returns is otherwise an [*Error]; then the token is still there.
func (c *Client) SignOut(ctx context.Context) error {
	if !c.serving.CompareAndSwap(false, true) {
		return ErrServing
	}
	defer c.serving.Store(false)
	account := c.cfg.JID.Bare()
	memo, err := c.cfg.Memory.Recall(ctx, account)
	if err != nil {
		return &Error{Stage: StageSignIn, Err: err}
	}
	if memo.Token.usable(c.cfg.UserAgent.ID) {
		c.leaving = true
		s, err := c.connect(ctx)
		c.leaving = false
		c.setState(PhaseStopped, nil)
		if err != nil {
			return err
		}
		_ = s.conn.Close() // all is said
		return nil
	}
	memo.Token = Token{}
	return c.cfg.Memory.Remember(ctx, account, memo)
}

package xmpptool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/cli"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/ping"
)

// pingCommand is "xmpp ping".
type pingCommand struct {
	To []jid.JID
	account
}

func (c *pingCommand) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ping", Short: "Ask addresses for a sign of life.",
		Long: `Signs in, sends each address a ping (XEP-0199) and waits for the answer. An error in reply is shown and counts as no sign of
life: service-unavailable may come from somebody who does not know pings, or from a server about somebody who is not there.`,
		Example: `  xmpp ping --jid me@example.org example.org
  XMPP_JID=me@example.org XMPP_PASSWORD_FILE=~/.xmpp xmpp ping irc.example.org friend@example.net/phone`,
	}
	cli.Arguments(cmd, "jid", "Who is to answer: a server, a component, an account, or one of its sessions (with resource).", 1, 0,
		(&address{add: &c.To}).Set)
	c.flags(cmd.Flags())
	return cmd
}

// pong is what became of one ping.
type pong struct {
	JID          string  `json:"jid"`
	OK           bool    `json:"ok"`
	Milliseconds float64 `json:"ms,omitempty"`
	Error        string  `json:"error,omitempty"`
}

func (c *pingCommand) run(ctx context.Context, t *Tool) int {
	s, code := t.signIn(ctx, &c.account)
	if s == nil {
		return code
	}
	defer s.close()
	var all []pong
	code = ExitOK
	for _, to := range c.To {
		start := time.Now()
		p := pong{JID: to.String()}
		if err := c.ask(ctx, s, to); err != nil {
			p.Error = answer(err)
			code = ExitFailure
		} else {
			p.OK, p.Milliseconds = true, float64(time.Since(start).Microseconds())/float64(time.Millisecond/time.Microsecond)
		}
		all = append(all, p)
		switch {
		case c.JSON:
		case p.OK:
			fmt.Fprintf(t.Stdout, "%s: %.1f ms\n", clean(p.JID), p.Milliseconds)
		default:
			fmt.Fprintf(t.Stdout, "%s: %s\n", clean(p.JID), p.Error)
		}
	}
	if c.JSON {
		t.write(struct {
			Results []pong `json:"results"`
		}{all})
	}
	return code
}

func (c *pingCommand) ask(ctx context.Context, s *session, to jid.JID) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	return ping.Ping(ctx, s, to)
}

// signIn signs in for a command that only asks. Without a session it has told why, and returns the exit code.
func (t *Tool) signIn(ctx context.Context, a *account, routes ...router.Route) (*session, int) {
	cfg, err := t.config(a)
	if err != nil {
		return nil, t.fail(err, a.JSON)
	}
	s, err := serve(ctx, cfg, routes)
	if err != nil {
		return nil, t.fail(err, a.JSON)
	}
	return s, ExitOK
}

// serve opens a session. Requests of others are refused.
func serve(ctx context.Context, cfg client.Config, routes []router.Route) (*session, error) {
	r, err := router.New(router.Config{Routes: routes})
	if err != nil {
		return nil, err
	}
	return open(ctx, cfg, r)
}

// answer tells of an error in one line.
func answer(err error) string {
	var refusal *stanza.Error
	switch {
	case errors.As(err, &refusal):
		text := "answers " + string(refusal.Condition)
		if said := refusal.Text.String(); said != "" {
			text += ": " + said
		}
		return clean(text)
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return clean(explain(err).Error())
}

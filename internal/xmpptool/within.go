package xmpptool

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/doctor"
	"github.com/postern-im/postern/xep/version"
)

// signIn signs in, where there is an account of the domain, and looks at what only accounts see. The error is one of the command line.
func (e *examination) signIn(ctx context.Context) error {
	switch j := e.c.JID; {
	case e.c.NoSignIn:
		return nil
	case j.IsZero():
		e.add(stepAccount, doctor.Skip, "without --jid nobody signs in: what the server runs is not asked", "")
		return nil
	case !j.DomainJID().Equivalent(e.c.Domain):
		e.add(stepAccount, doctor.Skip, fmt.Sprintf("%s is an account of another domain: nobody signs in", j.Bare()), "")
		return nil
	}
	cfg, err := e.t.config(&e.c.account)
	if errors.Is(err, errNoPassword) {
		e.add(stepAccount, doctor.Skip, fmt.Sprintf("no password for %s: nobody signs in", e.c.JID.Bare()), explain(err).remedy)
		return nil
	}
	if err != nil {
		return err
	}
	s, err := serve(ctx, cfg, nil)
	if err != nil {
		p := explain(err)
		e.found.Refused = p.code == ExitRefused
		e.add(stepAccount, doctor.Fail, clean(p.Error()), p.remedy)
		return nil
	}
	defer s.close()
	e.add(stepAccount, doctor.OK, "signed in as "+clean(s.JID().String())+" by "+how(s.SignIn()), "")
	if e.session(ctx, s) != nil {
		return nil
	}
	e.version(ctx, s)
	return nil
}

// how says in which way an account was signed in.
func how(in client.SignIn) string {
	text := in.Mechanism
	if in.SASL2 {
		text += " within SASL2"
	}
	if in.Binding != "" {
		return text + ", bound to the connection by " + in.Binding
	}
	return text + ", not bound to the connection"
}

// session says what a session has. The features of a sign-in by SASL2 follow it, and the barrier is behind them.
func (e *examination) session(ctx context.Context, s *session) error {
	ctx, cancel := context.WithTimeout(ctx, e.c.Timeout)
	defer cancel()
	if err := s.Barrier(ctx); err != nil {
		e.add(stepSession, doctor.Fail, "the server does not answer: "+answer(err), "Look into its log.")
		return err
	}
	f := s.Features()
	var has []string
	for _, x := range []struct {
		there bool
		name  string
	}{
		{f.StreamManagement, "stream management"},
		{f.ClientState, "client state"},
		{f.RosterVersions, "roster versions"},
		{f.PreApproval, "pre-approval"},
	} {
		if x.there {
			has = append(has, x.name)
		}
	}
	if f.StreamManagement {
		e.add(stepSession, doctor.OK, strings.Join(has, ", "), "")
		return nil
	}
	e.add(stepSession, doctor.Warn, "no stream management; "+strings.Join(append(has, "nothing else"), ", "),
		"A lost connection then loses messages. Prosody: enable smacks; ejabberd: mod_stream_mgmt.")
	return nil
}

// version asks what the server runs (XEP-0092).
func (e *examination) version(ctx context.Context, s *session) {
	ctx, cancel := context.WithTimeout(ctx, e.c.Timeout)
	defer cancel()
	v, err := version.Get(ctx, s, e.c.Domain)
	if err != nil {
		e.add(stepVersion, doctor.Skip, "the server does not say what it runs: "+answer(err), "")
		return
	}
	e.add(stepVersion, doctor.OK, "runs "+clean(v.String()), "")
}

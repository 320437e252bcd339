package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/version"
)

// answerTime is how long an answer may take on a link that works.
const answerTime = 5 * time.Second

func (e *examination) patience() time.Duration { return min(answerTime, e.cfg.Timeout) }

// encryption says who could read along.
func (e *examination) encryption(l *link) Finding {
	addr, isTCP := l.remote.(*net.TCPAddr)
	switch {
	case e.cfg.Component.TLS != nil:
		return Finding{Step: StepTLS, Verdict: OK, Summary: "the link is encrypted"}
	case !isTCP || addr.IP.IsLoopback():
		return Finding{Step: StepTLS, Verdict: OK, Summary: "the link is not encrypted and does not leave this machine"}
	}
	return Finding{
		Step: StepTLS, Verdict: Warn, Summary: fmt.Sprintf("the link to %s is not encrypted: whoever can read it can take the gateway over", addr.IP),
		Remedy: "Run the gateway on the server's machine, put the link into a tunnel such as WireGuard, or use ejabberd's TLS and set\n" +
			"component.tls:\n\n" + e.ejabberdTLS(),
	}
}

// alone sends stanzas to ourselves. If the server has another link of this name some of them arrive there: ejabberd spreads what is
// sent to a component over all its links.
func (e *examination) alone(ctx context.Context, l *link) Finding {
	// Half of them should go elsewhere, and half of those may come back as errors, which Barrier takes for an answer, too: the
	// chance that none is lost is (3/4)^n, 1 in 100 million.
	const n = 64
	ctx, cancel := context.WithTimeout(ctx, e.patience())
	defer cancel()
	var all sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		all.Go(func() { errs[i] = l.Barrier(ctx) })
	}
	all.Wait()
	lost := 0
	for _, err := range errs {
		if err != nil {
			lost++
		}
	}
	switch {
	case lost == 0:
		return Finding{Step: StepAlone, Verdict: OK, Summary: "the server routes the domain to this link alone"}
	case errors.Is(errs[0], context.Canceled):
		return Finding{Step: StepAlone, Verdict: Skip, Summary: "interrupted"}
	case lost == n:
		return Finding{
			Step: StepAlone, Verdict: Fail, Summary: "nothing that is sent to the domain comes back here",
			Remedy: "Look into the server's log: it does not route to this component what the component itself sends.",
		}
	}
	return Finding{
		Step: StepAlone, Verdict: Fail, Summary: fmt.Sprintf("%d of %d stanzas went to another link of the same name", lost, n),
		Remedy: "The server spreads stanzas over all links of a component, ejabberd at random. If the gateway is running, stop it and check\n" +
			"again; otherwise find out who else uses its name and secret, and change the secret.",
	}
}

// server asks what the server is, what it offers, and whether it lists the gateway.
func (e *examination) server(ctx context.Context, l *link, d *desk) {
	if len(e.cfg.Servers) == 0 {
		e.add(Finding{
			Step: StepServer, Verdict: Skip, Summary: "it is not known which domain the server serves",
			Remedy: "Set server.domains, such as example.org for a gateway.example.org.",
		})
		return
	}
	server := e.cfg.Servers[0]
	v, err := ask(ctx, e.patience(), func(ctx context.Context) (version.Version, error) { return version.Get(ctx, l, server) })
	var stanzaErr *stanza.Error
	switch {
	case err == nil:
		e.software = v.Name
		e.add(Finding{Step: StepServer, Verdict: OK, Summary: fmt.Sprintf("%s runs %s", server, v)})
	case errors.Is(err, stanza.RemoteServerNotFound), errors.Is(err, stanza.RemoteServerTimeout), errors.Is(err, stanza.Forbidden), errors.Is(err, stanza.NotAllowed):
		e.add(Finding{
			Step: StepServer, Verdict: Warn, Summary: fmt.Sprintf("the server does not serve %s: %v", server, err),
			Remedy: "Set server.domains to the domains of the server that this gateway belongs to.",
		})
		return
	case errors.As(err, &stanzaErr):
		e.add(Finding{Step: StepServer, Verdict: OK, Summary: fmt.Sprintf("%s does not tell which software it runs", server)})
	case d.privileged(server): // it knows us, and lets nothing through to itself
		e.deaf, e.software = true, "ejabberd"
		e.add(Finding{
			Step: StepServer, Verdict: Fail, Summary: fmt.Sprintf("%s grants privileges, and drops all other requests to itself and its users", server),
			Remedy: "This is what ejabberd does before 25.03 while mod_privilege is loaded. It also drops the answers to its own questions, so\n" +
				"that mod_delegation does not work, and echoes privileged requests about a user's own account. Upgrade to 25.03 or\n" +
				"later. Until then leave mod_privilege out.",
		})
		return
	default:
		e.add(Finding{
			Step: StepServer, Verdict: Fail, Summary: fmt.Sprintf("%s does not answer what it is", server),
			Remedy: "Set server.domains to the domains of the server that this gateway belongs to. If that is right: ejabberd before 25.03\n" +
				"drops requests of components to its domain while mod_privilege is loaded; upgrade it, or leave mod_privilege out.",
		})
		return
	}
	client := disco.NewClient(l, disco.ClientConfig{})
	info, err := ask(ctx, e.patience(), func(ctx context.Context) (disco.Info, error) { return client.GetInfo(ctx, server, "") })
	if err != nil {
		e.add(Finding{Step: StepOffers, Verdict: Warn, Summary: fmt.Sprintf("%s does not say what it offers: %v", server, err)})
	} else {
		e.add(Finding{Step: StepOffers, Verdict: OK, Summary: offers(info)})
	}
	e.add(e.listed(ctx, client, server))
}

// ask gives a question its time.
func ask[T any](ctx context.Context, patience time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v, err := f(ctx)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("no answer within %v", patience)
	}
	return v, err
}

// offers says in one line what an operator of a gateway may want to know of the server.
func offers(info disco.Info) string {
	var kinds, found []string
	for _, id := range info.Identities {
		kinds = append(kinds, id.Category+"/"+id.Type)
	}
	for _, f := range []struct{ feature, name string }{
		{"urn:xmpp:mam:2", "message archive"},
		{"urn:xmpp:carbons:2", "carbons"},
		{"urn:xmpp:blocking", "blocking"},
		{"vcard-temp", "vCards"},
		{"http://jabber.org/protocol/pubsub#publish", "personal eventing"},
		{"msgoffline", "offline messages"},
	} {
		if info.Has(f.feature) {
			found = append(found, f.name)
		}
	}
	slices.Sort(kinds)
	text := "the server is " + strings.Join(slices.Compact(kinds), ", ")
	if len(found) > 0 {
		text += " with " + strings.Join(found, ", ")
	}
	return text
}

// listed looks whether clients find the gateway when they look around.
func (e *examination) listed(ctx context.Context, client *disco.Client, server jid.JID) Finding {
	items, err := ask(ctx, e.patience(), func(ctx context.Context) ([]disco.Item, error) { return client.GetItems(ctx, server, "") })
	domain := e.cfg.Component.Domain
	if err != nil {
		return Finding{Step: StepListed, Verdict: Warn, Summary: fmt.Sprintf("%s does not say what belongs to it: %v", server, err)}
	}
	if slices.ContainsFunc(items, func(i disco.Item) bool { return i.JID == domain }) {
		return Finding{Step: StepListed, Verdict: OK, Summary: fmt.Sprintf("clients find %s among the services of %s", domain, server)}
	}
	return Finding{
		Step: StepListed, Verdict: Warn, Summary: fmt.Sprintf("%s does not list %s: clients must be told of it", server, domain),
		Remedy: fmt.Sprintf("Prosody, in the section of the host:\n\n%s\nejabberd, among the modules:\n\n%s",
			indent(fmt.Sprintf("VirtualHost %q\n    disco_items = { { %q, \"Gateway\" } }\n", server, domain)),
			indent(fmt.Sprintf("mod_disco:\n  extra_domains:\n    - %s\n", domain))),
	}
}

package delegation_test

import (
	"errors"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/internal/loopback"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// Prosody and ejabberd forward an IQ without id, whoever sent it: that fills no log.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	m, err := delegation.New(delegation.Config{
		JID: jid.MustParse("gateway.localhost"), Servers: []jid.JID{jid.MustParse("localhost")},
		Namespaces: []delegation.Namespace{delegation.Serve(nsNote, nil, newNotes().routes()...)},
	}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	const asked = "<iq xmlns='jabber:client' from='romeo@montague.net/o' to='alice@localhost' id='' type='get'>" + getNote + "</iq>"
	for _, version := range []string{delegation.NS, delegation.NS1} {
		in, err := loopback.Read("<iq from='localhost' to='gateway.localhost' id='1' type='set'><delegation xmlns='" + version + "'>" +
			"<forwarded xmlns='urn:xmpp:forward:0'>" + asked + "</forwarded></delegation></iq>")
		if err != nil || len(in) != 1 {
			t.Fatal(in, err)
		}
		if _, err := m.Unwrap(t.Context(), in[0], nil); !errors.Is(err, stanza.BadRequest) {
			t.Errorf("answered %v", err)
		}
	}
	if n := logs.Len(); n != 0 || m.Stats().Malformed != 2 {
		t.Errorf("%d lines: %v, %+v", n, logs.All(), m.Stats())
	}
}

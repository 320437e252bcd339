package app

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"syscall"
	"testing"

	"github.com/postern-im/postern/xmpptest"
)

// TestSEC57_LogHoldsNeitherSecretNorDigest runs the gateway through a refused and a good handshake with everything logged, and
// looks for the secret and what is made of it.
func TestSEC57_LogHoldsNeitherSecretNorDigest(t *testing.T) {
	const domain, id = "gateway.localhost", "stream-id-1"
	online := make(chan struct{})
	ids := []string{id, "stream-id-2"}
	s := xmpptest.NewScriptedServer(t,
		xmpptest.Script(xmpptest.ExpectHeader(domain), xmpptest.SendHeader(ids[0], domain), xmpptest.ExpectHandshake(ids[0], strong),
			xmpptest.SendBytes(`<stream:error><internal-server-error xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></stream:stream>`), xmpptest.Close()),
		xmpptest.Script(xmpptest.ExpectHeader(domain), xmpptest.SendHeader(ids[1], domain), xmpptest.ExpectHandshake(ids[1], strong),
			xmpptest.SendBytes(`<handshake/><message from="a@localhost" to="gateway.localhost" type="chat"><body>private words</body></message>`),
			xmpptest.ExpectElement(xmpptest.XML(`<message xmlns="jabber:client" from="gateway.localhost" to="a@localhost" type="chat"><body>private words</body></message>`)),
			xmpptest.Do(func() { close(online) }), xmpptest.ReturnToSender(), xmpptest.ExpectClose(), xmpptest.SendBytes("</stream:stream>"), xmpptest.Close()),
	)
	r := start(t, echo(), []string{"POSTERN_COMPONENT_SECRET=" + strong, "POSTERN_DATABASE_URL=memory"}, []string{
		"run", "--component-domain=" + domain, "--component-address=" + s.Addr, "--admin-listen=127.0.0.1:0",
		"--component-backoff-min=1ms", "--log-level=debug", "--log-wire=full",
	})
	await(t, online)
	_, metrics := r.get("/metrics")
	_, ready := r.get("/readyz")
	r.signals <- syscall.SIGHUP
	r.stderr.await(t, "configuration read again")
	r.signals <- syscall.SIGTERM
	if code := r.wait(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	s.Done()
	all := r.stdout.String() + r.stderr.String() + metrics + ready
	if !strings.Contains(all, "private words") || !strings.Contains(all, `"debug"`) {
		t.Fatalf("the log is not as talkative as it should be here:\n%s", all)
	}
	if !strings.Contains(all, `"stanza","session":1,"dir":"in"`) {
		t.Errorf("the wire log does not say which session its stanzas are of:\n%s", all)
	}
	for _, id := range ids {
		digest := sha1.Sum([]byte(id + strong))
		for what, text := range map[string]string{"secret": strong, "digest": hex.EncodeToString(digest[:]), "handshake": "<handshake>"} {
			if strings.Contains(strings.ToLower(all), text) {
				t.Errorf("the %s shows in\n%s", what, all)
			}
		}
	}
}

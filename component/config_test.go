package component_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
)

// TestSEC57_SecretIsNotPrinted shows that the secret is in nothing that is printed.
func TestSEC57_SecretIsNotPrinted(t *testing.T) {
	cfg := component.Config{Domain: jid.MustParse(gw), Secret: "very-secret"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, cfg); strings.Contains(s, "very-secret") {
			t.Errorf("%s prints %s", format, s)
		}
	}
}

func TestNew_RefusesBadConfig(t *testing.T) {
	good := component.Config{Domain: jid.MustParse(gw), Secret: "s"}
	for name, change := range map[string]func(*component.Config){
		"no domain":        func(c *component.Config) { c.Domain = jid.JID{} },
		"no secret":        func(c *component.Config) { c.Secret = "" },
		"user's address":   func(c *component.Config) { c.Domain = jid.MustParse("a@b") },
		"no port":          func(c *component.Config) { c.Addr = "localhost" },
		"backoff":          func(c *component.Config) { c.Backoff = component.Backoff{Min: time.Second, Max: time.Millisecond} },
		"negative timeout": func(c *component.Config) { c.WriteTimeout = -1 },
		"keepalive":        func(c *component.Config) { c.KeepAlive = 3 },
		"negative buffer":  func(c *component.Config) { c.SendBuffer = -1 },
	} {
		cfg := good
		change(&cfg)
		if _, err := component.New(cfg, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := component.New(good, nil); err != nil {
		t.Error(err)
	}
}

// TestAddr_UnixSocket reaches the server through a socket of the file system.
func TestAddr_UnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xmpp.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		hello(&pipe{t: t, Conn: conn})
	}()
	defer func() { _ = ln.Close(); <-done }()
	c := serve(t, component.Config{Domain: jid.MustParse(gw), Secret: "test", Addr: "unix:" + path}, newRecorder(nil)).online()
	if err := c.Barrier(t.Context()); err != nil {
		t.Error(err)
	}
	c.stop()
	c.ended()
}

// distant is a connection to another machine, as it says.
type distant struct {
	net.Conn
	addr net.Addr
}

func (d distant) RemoteAddr() net.Addr { return d.addr }

// TestSEC57_Logs looks for the secret, and for what proves it, in all that is logged at the finest level and in the wire log, and for
// the warning about a link that others can read.
func TestSEC57_Logs(t *testing.T) {
	const secret, warning = "a-very-secret-secret", "neither encrypted nor local"
	for name, tc := range map[string]struct {
		addr net.Addr
		warn bool
	}{
		"loopback":            {&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5347}, false},
		"loopback of IPv6":    {&net.TCPAddr{IP: net.IPv6loopback, Port: 5347}, false},
		"socket":              {&net.UnixAddr{Name: "/run/xmpp.sock", Net: "unix"}, false},
		"another machine":     {&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5347}, true},
		"no address at all":   {nil, false},
		"refused as it seems": {&net.TCPAddr{IP: net.IPv6loopback, Port: 5347}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := func(p *pipe) {
				if p.header(); name == "refused as it seems" {
					p.write(fmt.Sprintf(streamError, "not-authorized"))
					return
				}
				p.write("<handshake/><message from='a@b' to='gw.test'/>")
				p.serve()
			}
			bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
				core, logs := observer.New(zap.DebugLevel)
				log := zap.New(core)
				cfg.Secret = secret
				dial := cfg.Dial
				cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					conn, err := dial(ctx, network, addr)
					return distant{conn, tc.addr}, err
				}
				cfg.WireLog = func(d component.Direction, xml []byte) {
					log.Debug("wire", zap.Stringer("direction", d), zap.ByteString("xml", xml))
				}
				log.Debug("configuration", zap.Any("config", cfg.Secret), zap.Reflect("reflected", struct{ Secret component.Secret }{cfg.Secret}))
				c, err := component.New(cfg, log)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err = c.Serve(ctx, handler(ignore))
				log.Debug("ended", zap.Error(err), zap.Any("state", c.State()))
				sum := sha1.Sum([]byte("x" + secret))
				enc := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
				var all strings.Builder
				for _, e := range logs.All() {
					line, err := enc.EncodeEntry(e.Entry, e.Context)
					if err != nil {
						t.Fatal(err)
					}
					all.WriteString(line.String())
				}
				for what, s := range map[string]string{"the secret": secret, "the digest": hex.EncodeToString(sum[:]), "the handshake": "<handshake"} {
					if strings.Contains(all.String(), s) {
						t.Errorf("%s was logged: %s", what, all.String())
					}
				}
				if strings.Contains(all.String(), warning) != tc.warn {
					t.Errorf("warned or not: %s", all.String())
				}
				if name != "refused as it seems" && !strings.Contains(all.String(), "<message ") {
					t.Errorf("the wire log was not shown: %s", all.String())
				}
			})
		})
	}
}

// TestWireLog_Order shows each stanza as it stands on the wire, in order for each direction, and nothing that was refused.
func TestWireLog_Order(t *testing.T) {
	server := func(p *pipe) {
		p.welcome("<message from='a@b' to='gw.test' id='1'/>")
		p.next()
		p.write("<message from='a@b' to='gw.test' id='2'/>")
		p.serve()
	}
	bubble(t, []func(p *pipe){server}, func(t *testing.T, cfg component.Config) {
		var mu sync.Mutex
		shown := make(map[component.Direction][]string)
		cfg.WireLog = func(d component.Direction, xml []byte) {
			mu.Lock()
			defer mu.Unlock()
			shown[d] = append(shown[d], string(xml))
		}
		c := serveIn(t, cfg, handler(ignore))
		c.now(component.PhaseOnline)
		for _, m := range []*stanza.Message{message(jid.MustParse("a@b"), "3", ""), {}, message(jid.MustParse("a@b"), "4", "")} {
			_ = c.Send(t.Context(), m)
		}
		c.now(component.PhaseOnline)
		mu.Lock()
		in, out := strings.Join(shown[component.In], "\n"), strings.Join(shown[component.Out], "\n")
		mu.Unlock()
		if want := "<message from='a@b' to='gw.test' id='1'/>\n<message from='a@b' to='gw.test' id='2'/>"; strings.ReplaceAll(in, " xmlns='jabber:client'", "") != want {
			t.Errorf("in: %s", in)
		}
		if want := "<message from='gw.test' to='a@b' id='3' type='chat'><body/></message>\n<message from='gw.test' to='a@b' id='4' type='chat'><body/></message>"; out != want {
			t.Errorf("out: %s", out)
		}
		c.end()
	})
}

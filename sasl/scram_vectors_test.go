package sasl

import (
	"bufio"
	"context"
	"crypto/pbkdf2"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// A vector is one SCRAM exchange, byte for byte.
type vector struct {
	name                               string
	mechanism, username, password      string
	cnonce                             string
	binding                            Binding
	flag                               GS2Flag
	extension                          string
	offer                              Offer
	client1, server1, client2, server2 string
}

func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

const (
	rfc5802Nonce  = "fyko+d2lbbFgONRv9qkxdawL"
	rfc5802Server = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
	rfc7677Nonce  = "rOprNGfwEbeRWgbNEkqO"
	rfc7677Server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	xep0474Nonce  = "12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6"
	xep0474Hash   = "G6k/rBLDqgOhRRaCuuatSDFkJ08="
)

var vectors = []vector{
	{
		name: "RFC 5802 section 5", mechanism: "SCRAM-SHA-1", username: "user", password: "pencil", cnonce: rfc5802Nonce, flag: FlagNone,
		client1: "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", server1: rfc5802Server,
		client2: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
		server2: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
	},
	{
		name: "RFC 6120 section 9.1", mechanism: "SCRAM-SHA-1", username: "juliet", password: "r0m30myr0m30", flag: FlagNone,
		cnonce:  "oMsTAAwAAAAMAAAANP0TAAAAAABPU0AA",
		client1: "n,,n=juliet,r=oMsTAAwAAAAMAAAANP0TAAAAAABPU0AA",
		server1: "r=oMsTAAwAAAAMAAAANP0TAAAAAABPU0AAe124695b-69a9-4de6-9c30-b51b3808c59e," +
			"s=NjhkYTM0MDgtNGY0Zi00NjdmLTkxMmUtNDlmNTNmNDNkMDMz,i=4096",
		client2: "c=biws,r=oMsTAAwAAAAMAAAANP0TAAAAAABPU0AAe124695b-69a9-4de6-9c30-b51b3808c59e,p=UA57tM/SvpATBkH2FXs0WDXvJYw=",
		server2: "v=pNNDFVEQxuXxCoSEiW8GEZ+1RSo=",
	},
	{
		name: "RFC 7677 section 3", mechanism: "SCRAM-SHA-256", username: "user", password: "pencil", cnonce: rfc7677Nonce, flag: FlagNone,
		client1: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", server1: rfc7677Server,
		client2: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		server2: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
	},
	{ // public test suites carry it, among them MailKit's
		name: "SCRAM-SHA-512", mechanism: "SCRAM-SHA-512", username: "user", password: "pencil", cnonce: rfc7677Nonce, flag: FlagNone,
		client1: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", server1: rfc7677Server,
		client2: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
			"p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
		server2: "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==",
	},
	{
		name: "SCRAM-SHA-512-PLUS", mechanism: "SCRAM-SHA-512-PLUS", username: "user", password: "pencil", cnonce: rfc7677Nonce,
		flag: FlagPlus, binding: Binding{TLSServerEndPoint, []byte("imap://elwood.innosoft.com/")},
		client1: "p=tls-server-end-point,,n=user,r=rOprNGfwEbeRWgbNEkqO", server1: rfc7677Server,
		client2: "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsaW1hcDovL2Vsd29vZC5pbm5vc29mdC5jb20v," +
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
			"p=Lrbr64QBLm57rPiUjNzRxRpy5SmWXr9uo1YaZamnGl5eJlvHL+VO3EogXgUmr8ht+aJoS3d2XOSNN6RUiA05sQ==",
		server2: "v=mAlQYGd+jaCA+/6Ayj8wRQLKnuxQhjSabvJW4XqtPzjXayzXxbIElZP27ANJa7yNfb54XATe9O0/w1cNxvsRfg==",
	},
	{
		name: "SCRAM-SHA-1-PLUS tls-exporter", mechanism: "SCRAM-SHA-1-PLUS", username: "user", password: "pencil", cnonce: rfc5802Nonce,
		flag: FlagPlus, binding: Binding{TLSExporter, counting(32)},
		client1: "p=tls-exporter,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", server1: rfc5802Server,
		client2: "c=cD10bHMtZXhwb3J0ZXIsLAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f," +
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=i0z2xFi+ITaJvbLXpcWyruGx26U=",
		server2: "v=YgmPUhdXTCPY9I7+PKzEdnp1cdo=",
	},
	{
		name: "SCRAM-SHA-256-PLUS tls-exporter", mechanism: "SCRAM-SHA-256-PLUS", username: "user", password: "pencil", cnonce: rfc5802Nonce,
		flag: FlagPlus, binding: Binding{TLSExporter, counting(32)},
		client1: "p=tls-exporter,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", server1: rfc5802Server,
		client2: "c=cD10bHMtZXhwb3J0ZXIsLAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f," +
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=D2/elnCpWN5vzfsupEyIK53QUqQZA7VoJLvCOkoiEBw=",
		server2: "v=/x9512I1emNk+1VDcdC2VMj4vnhDWtaJHavjWnKxnkM=",
	},
	{
		name: "XEP-0474 full flow", mechanism: "SCRAM-SHA-1-PLUS", username: "user", password: "pencil", cnonce: xep0474Nonce,
		flag: FlagPlus, binding: Binding{TLSExporter, []byte("THIS IS FAKE CB DATA")},
		extension: ",x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3", offer: xep0474Offer,
		client1: "p=tls-exporter,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6",
		server1: "r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,s=QSXCR+Q6sek8bf92,i=4096,h=" + xep0474Hash,
		client2: "c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-" +
			"93799c2bddf6,x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3,p=M/SIDjT+dfcxUh89jZEypRvFxB4=",
		server2: "v=MQrMPvv7yv4x4Cq4W4Ih25EqS2c=",
	},
}

var xep0474Offer = Offer{
	Protocol: SASL2, Mechanisms: []string{"SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"}, Bindings: []string{TLSServerEndPoint, TLSExporter},
}

// client begins the exchange of a vector.
func (v vector) client(t testing.TB) *scramClient {
	t.Helper()
	m, err := Choice{
		Mechanism: v.mechanism, Flag: v.flag, Binding: v.binding.Type, binding: v.binding, offer: v.offer,
		credentials: Credentials{Username: v.username, Password: NewSecret(v.password)},
	}.begin()
	if err != nil {
		t.Fatal(err)
	}
	c := m.(*scramClient)
	c.nonce, c.extension = v.cnonce, v.extension
	return c
}

// server begins it on the other side.
func (v vector) server(t testing.TB) *SCRAMServer {
	t.Helper()
	s, err := NewSCRAMServer(v.mechanism, v.offer, Channel{Bindings: []Binding{v.binding}})
	if err != nil {
		t.Fatal(err)
	}
	first, err := parseServerFirst(v.mechanism, []byte(v.server1))
	if err != nil {
		t.Fatal(err)
	}
	s.nonce = strings.TrimPrefix(first.nonce, v.cnonce)
	return s
}

// TestVectors holds both sides to published exchanges.
func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			c, s := v.client(t), v.server(t)
			one := step(t)(c.Start())
			if string(one) != v.client1 {
				t.Fatalf("client first %q, want %q", one, v.client1)
			}
			if user, _, err := s.Start(one); user != v.username || err != nil {
				t.Fatalf("server: user %q, %v", user, err)
			}
			first, err := parseServerFirst(v.mechanism, []byte(v.server1))
			if err != nil {
				t.Fatal(err)
			}
			keys, err := NewStoredKeys(t.Context(), v.mechanism, NewSecret(v.password), first.salt, 4096)
			if err != nil {
				t.Fatal(err)
			}
			two := step(t)(s.Challenge(keys))
			if string(two) != v.server1 {
				t.Fatalf("server first %q, want %q", two, v.server1)
			}
			three := step(t)(c.Next(t.Context(), two))
			if string(three) != v.client2 {
				t.Fatalf("client final %q, want %q", three, v.client2)
			}
			four := step(t)(s.Finish(three))
			if string(four) != v.server2 {
				t.Fatalf("server final %q, want %q", four, v.server2)
			}
			if err := c.Done(four); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// step demands that a step of an exchange succeeds.
func step(t testing.TB) func([]byte, error) []byte {
	t.Helper()
	return func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// TestVectorsOfRFC5802Inside has what lies between the messages.
func TestVectorsOfRFC5802Inside(t *testing.T) {
	h, _ := scramHashOf("SCRAM-SHA-1")
	salt, _ := decodeBase64("QSXCR+Q6sek8bf92")
	salted, err := h.saltedPassword(t.Context(), "pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	clientKey, storedKey, serverKey := h.keys(salted)
	for _, tc := range []struct {
		name, want string
		got        []byte
	}{
		{"SaltedPassword", "1d96ee3a529b5a5f9e47c01f229a2cb8a6e15f7d", salted},
		{"ClientKey", "e234c47bf6c36696dd6d852b99aaa2ba26555728", clientKey},
		{"StoredKey", "e9d94660c39d65c38fbad91c358f14da0eef2bd6", storedKey},
		{"ServerKey", "0fe09258b3ac852ba502cc62ba903eaacdbf7d31", serverKey},
	} {
		if hex.EncodeToString(tc.got) != tc.want {
			t.Errorf("%s %x, want %s", tc.name, tc.got, tc.want)
		}
	}
}

// TestSaltedPassword compares Hi with the standard library's PBKDF2.
func TestSaltedPassword(t *testing.T) {
	for _, h := range scramHashes() {
		want, err := pbkdf2.Key(h.new, "pencil", []byte("salt of some length"), 5000, h.new().Size())
		if err != nil {
			t.Fatal(err)
		}
		got, err := h.saltedPassword(t.Context(), "pencil", []byte("salt of some length"), 5000)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: %x, %v, want %x", h.name, got, err, want)
		}
	}
}

// TestVectorOfXEP0474 is the hash of its example: what goes into it, and what comes out.
func TestVectorOfXEP0474(t *testing.T) {
	input := xep0474Offer.downgradeInput()
	if want := "SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1ftls-exporter\x1etls-server-end-point"; string(input) != want {
		t.Errorf("input %q, want %q", input, want)
	}
	h, _ := scramHashOf("SCRAM-SHA-1")
	if got := encodeBase64(h.sum(input)); got != xep0474Hash {
		t.Errorf("hash %s, want %s", got, xep0474Hash)
	}
	unbound := Offer{Mechanisms: []string{"b", "a", "B"}}
	if got := string(unbound.downgradeInput()); got != "B\x1ea\x1eb" {
		t.Errorf("without bindings %q", got)
	}
}

// A capture is an exchange with a real server.
type capture struct {
	name, mechanism, password string
	offer                     Offer
	client, server            []string
}

func captures(t testing.TB) []capture {
	t.Helper()
	f, err := os.Open("testdata/captures.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []capture
	for in := bufio.NewScanner(f); in.Scan(); {
		key, value, _ := strings.Cut(in.Text(), ": ")
		if key == "name" {
			all = append(all, capture{})
		}
		if len(all) == 0 {
			continue
		}
		c := &all[len(all)-1]
		switch key {
		case "name":
			c.name = value
		case "protocol":
			if value == "sasl2" {
				c.offer.Protocol = SASL2
			}
		case "mechanisms":
			c.offer.Mechanisms = strings.Fields(value)
		case "bindings":
			c.offer.Bindings = strings.Fields(value)
		case "mechanism":
			c.mechanism = value
		case "password":
			c.password = value
		case "client":
			c.client = append(c.client, value)
		case "server":
			c.server = append(c.server, value)
		}
	}
	if len(all) < 25 {
		t.Fatalf("%d captures", len(all))
	}
	return all
}

// TestCapturesOfServers replays exchanges that Prosody and ejabberd took part in: our side must write the same bytes and be
// content with the answers, XEP-0474 and server signature included.
func TestCapturesOfServers(t *testing.T) {
	cache := NewKeyCache(0)
	for _, c := range captures(t) {
		t.Run(c.name, func(t *testing.T) {
			flag, rest, _ := strings.Cut(c.client[0], ",")
			_, cnonce, _ := strings.Cut(rest, ",r=")
			username := strings.TrimPrefix(strings.TrimSuffix(rest, ",r="+cnonce), ",n=")
			choice := Choice{
				Mechanism: c.mechanism, Flag: GS2Flag(flag[0]), offer: c.offer, policy: Policy{Cache: cache},
				credentials: Credentials{Username: username, Password: NewSecret(c.password)},
			}
			if typ, ok := strings.CutPrefix(flag, "p="); ok {
				sent, _, _ := strings.Cut(strings.TrimPrefix(c.client[1], "c="), ",")
				bound, err := decodeBase64(sent)
				if err != nil {
					t.Fatal(err)
				}
				choice.binding = Binding{typ, bound[len(flag)+2:]}
			}
			m, err := choice.begin()
			if err != nil {
				t.Fatal(err)
			}
			m.(*scramClient).nonce = cnonce
			if one := step(t)(m.Start()); string(one) != c.client[0] {
				t.Fatalf("client first %q, want %q", one, c.client[0])
			}
			if !strings.Contains(c.server[0], ",h=") {
				t.Error("the server did not confirm its offer")
			}
			if two := step(t)(m.Next(context.Background(), []byte(c.server[0]))); string(two) != c.client[1] {
				t.Fatalf("client final %q, want %q", two, c.client[1])
			}
			if err := m.Done([]byte(c.server[1])); err != nil {
				t.Fatal(err)
			}
		})
	}
}

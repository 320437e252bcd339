package client

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/xmltree"
)

// TestFeatures reads what servers really offered, in testdata: captures, of which each holds one element.
func TestFeatures(t *testing.T) {
	scram := []string{"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "PLAIN"}
	for name, want := range map[string]Features{
		"prosody-clear":  {StartTLS: true, TLSRequired: true, MaxBytes: 262144, Idle: 840 * time.Second},
		"ejabberd-clear": {StartTLS: true, TLSRequired: true},
		"prosody-tls": {
			Mechanisms: append([]string{"OAUTHBEARER"}, scram...), Bindings: []string{"tls-exporter", "tls-server-end-point"},
			MaxBytes: 262144, Idle: 840 * time.Second,
			SASL2: &SASL2Features{
				Mechanisms: append([]string{"OAUTHBEARER"}, scram...), FAST: []string{"HT-SHA-256-NONE", "HT-SHA-256-EXPR"}, Upgrades: []string{},
				Bind2: true, Bind2Inline: []string{"urn:xmpp:carbons:2", "urn:xmpp:csi:0", "urn:xmpp:sm:3"}, Resume: true,
			},
		},
		"ejabberd-tls": {
			Mechanisms: scram, Bindings: []string{"tls-exporter", "tls-server-end-point"},
			SASL2: &SASL2Features{
				Mechanisms: scram, FAST: []string{"HT-SHA-256-NONE", "HT-SHA-256-UNIQ", "HT-SHA-256-EXPR", "HT-SHA-256-ENDP"},
				Upgrades: []string{"UPGR-SCRAM-SHA-512"}, Bind2: true, Bind2Inline: []string{"urn:xmpp:sm:3", "urn:xmpp:carbons:2"}, Resume: true,
			},
		},
		"signed-in": {
			Bind: true, Session: true, SessionOptional: true, StreamManagement: true, ClientState: true, RosterVersions: true, PreApproval: true, Register: true,
			Caps: Caps{Hash: "sha-1", Node: "http://prosody.im", Ver: "YvnW49rp3gkGkEjwAWOt6sJCgKU="},
		},
		"broken": {Mechanisms: []string{}, Bindings: []string{}, SASL2: &SASL2Features{Mechanisms: []string{}, Upgrades: []string{}}},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", name+".xml"))
			if err != nil {
				t.Fatal(err)
			}
			el, err := xmltree.Parse(data, xmltree.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got := ParseFeatures(el)
			for _, f := range []*Features{&got, &want} {
				f.Mechanisms = slices.Sorted(slices.Values(f.Mechanisms))
				if f.SASL2 != nil {
					f.SASL2.Mechanisms = slices.Sorted(slices.Values(f.SASL2.Mechanisms))
				}
			}
			if name == "broken" && len(got.Other) != 1 {
				t.Errorf("others: %v", got.Other)
			}
			got.Other = nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v %+v\nwant %+v %+v", got, got.SASL2, want, want.SASL2)
			}
		})
	}
}

// zone is a resolver.
type zone map[string][]*net.SRV

func (z zone) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if all, ok := z[service]; ok && proto == "tcp" && name == "d.test" {
		return name, all, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

func TestC18_Targets(t *testing.T) {
	rec := func(host string, port, priority, weight uint16) *net.SRV {
		return &net.SRV{Target: host, Port: port, Priority: priority, Weight: weight}
	}
	for name, tc := range map[string]struct {
		zone zone
		want string
		err  error
	}{
		"no records": {zone{}, "d.test:5222", nil},
		"both kinds, by priority": {zone{
			"xmpps-client": {rec("s1.", 443, 20, 0), rec("s2.", 5223, 5, 0)},
			"xmpp-client":  {rec("p1.", 5222, 10, 0), rec("p2.", 5222, 1, 0)},
		}, "p2:5222 s2:5223+ p1:5222 s1:443+", nil},
		"no service":          {zone{"xmpp-client": {rec(".", 0, 0, 0)}}, "", ErrNoService},
		"one kind denied":     {zone{"xmpp-client": {rec(".", 0, 0, 0)}, "xmpps-client": {rec("s.", 1, 0, 0)}}, "s:1+", nil},
		"IPv6 in brackets":    {zone{"xmpp-client": {rec("2001:db8::1", 1, 0, 0)}}, "[2001:db8::1]:1", nil},
		"all weight on one":   {zone{"xmpp-client": {rec("a.", 1, 0, 65535), rec("b.", 1, 1, 65535)}}, "a:1 b:1", nil},
		"more than are tried": {zone{"xmpp-client": slices.Repeat([]*net.SRV{rec("a.", 1, 0, 1)}, 100)}, strings.TrimSpace(strings.Repeat("a:1 ", maxTargets)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := targets(t.Context(), tc.zone, "d.test")
			var got []string
			for _, to := range all {
				s := to.addr()
				if to.direct {
					s += "+"
				}
				got = append(got, s)
			}
			if strings.Join(got, " ") != tc.want || (err == nil) != (tc.err == nil) {
				t.Errorf("got %v %v", got, err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := targets(ctx, zone{}, "d.test"); err == nil {
		t.Error("an ended context has no error")
	}
	if all, err := targets(t.Context(), zone{}, "127.0.0.1"); err != nil || all[0].addr() != "127.0.0.1:5222" {
		t.Errorf("an address: %v %v", all, err)
	}
}

// TestC18_Weights holds the choice among records of one priority against RFC 2782, without chance.
func TestC18_Weights(t *testing.T) {
	all := []srv{{weight: 0}, {weight: 10}, {weight: 30}, {weight: 60}}
	for at, want := range map[int]int{0: 0, 1: 1, 10: 1, 11: 2, 40: 2, 41: 3, 100: 3} {
		if got := pick(all, at); got != want {
			t.Errorf("%d: record %d, not %d", at, got, want)
		}
	}
	first := map[string]int{}
	for range 2000 {
		first[order([]srv{{target{host: "light", port: "1"}, 0, 1}, {target{host: "heavy", port: "1"}, 0, 99}})[0].host]++
	}
	if first["light"] == 0 || first["light"] > 200 {
		t.Errorf("%v", first)
	}
}

func TestC18_Redirects(t *testing.T) {
	for to, want := range map[string]string{
		"b.test": "b.test:5222", "b.test:9": "b.test:9", "[2001:db8::1]": "[2001:db8::1]:5222", "2001:db8::1": "[2001:db8::1]:5222",
		"[2001:db8::1]:9": "[2001:db8::1]:9", "192.0.2.1": "192.0.2.1:5222", "": "", "b.test:x": "", "b.test:0": "", ":9": "", "a:b:c": "",
	} {
		got, err := parseRedirect(to)
		if want == "" && err == nil || want != "" && got.addr() != want {
			t.Errorf("%q: %v %v", to, got, err)
		}
	}
}

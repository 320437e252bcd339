package sasl

import (
	"strconv"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

// TestServerRefusesClients has what a server must not take.
func TestServerRefusesClients(t *testing.T) {
	end := Binding{TLSServerEndPoint, []byte("certificate")}
	for _, tc := range []struct{ name, mechanism, message, want string }{
		{"no header", "SCRAM-SHA-1", "n=user,r=abc", "malformed"},
		{"unknown flag", "SCRAM-SHA-1", "x,,n=user,r=abc", "malformed"},
		{"bound without -PLUS", "SCRAM-SHA-1", "p=tls-server-end-point,,n=user,r=abc", "malformed"},
		{"-PLUS unbound", "SCRAM-SHA-1-PLUS", "n,,n=user,r=abc", "malformed"},
		{"SEC-44 y where -PLUS is offered", "SCRAM-SHA-1", "y,,n=user,r=abc", "server-does-support-channel-binding"},
		{"unknown type", "SCRAM-SHA-1-PLUS", "p=tls-exporter,,n=user,r=abc", "unsupported-channel-binding-type"},
		{"mandatory extension", "SCRAM-SHA-1", "n,,m=1,n=user,r=abc", "extension"},
		{"name escaped wrongly", "SCRAM-SHA-1", "n,,n=a=b,r=abc", "invalid-username-encoding"},
		{"name that SASLprep refuses", "SCRAM-SHA-1", "n,,n=\u0627\u0031,r=abc", "invalid-username-encoding"},
		{"nonce with blank", "SCRAM-SHA-1", "n,,n=user,r=a bc", "malformed"},
		{"identity without name", "SCRAM-SHA-1", "n,user@example.org,n=user,r=abc", "malformed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := NewSCRAMServer(tc.mechanism, Offer{Mechanisms: []string{"SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"}}, Channel{Bindings: []Binding{end}})
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = s.Start([]byte(tc.message))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %s", err, tc.want)
			}
			if _, err := s.Challenge(StoredKeys{}); err == nil && tc.want != "" && s.username == "" {
				t.Error("the exchange goes on")
			}
		})
	}
}

// TestServerRefusesProofs has what a client may try to get by with.
func TestServerRefusesProofs(t *testing.T) {
	const proof = "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
	const nonce = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"
	for _, tc := range []struct{ name, message, want string }{
		{"right", "c=biws," + nonce + "," + proof, ""},
		{"wrong proof", "c=biws," + nonce + ",p=w0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "invalid-proof"},
		{"short proof", "c=biws," + nonce + ",p=v0X8", "invalid-proof"},
		{"no proof", "c=biws," + nonce, "malformed"},
		{"extension after the proof", "c=biws," + nonce + "," + proof + ",x=1", "malformed"},
		{"SEC-51 another header", "c=eSws," + nonce + "," + proof, "channel-bindings-dont-match"},
		{"SEC-47 another nonce", "c=biws,r=fyko+d2lbbFgONRv9qkxdawL," + proof, "nonce"},
		{"proof that is no base64", "c=biws," + nonce + ",p=!", "malformed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := vectors[0]
			s := v.server(t)
			if _, _, err := s.Start([]byte(v.client1)); err != nil {
				t.Fatal(err)
			}
			first, _ := parseServerFirst(v.mechanism, []byte(v.server1))
			keys, err := NewStoredKeys(t.Context(), v.mechanism, NewSecret(v.password), first.salt, 4096)
			if err != nil {
				t.Fatal(err)
			}
			step(t)(s.Challenge(keys))
			final, err := s.Finish([]byte(tc.message))
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || final != nil {
				t.Errorf("%q, %v, want %s", final, err, tc.want)
			}
		})
	}
}

// TestAgainstAnotherImplementation signs in to, and serves, the SCRAM of another library, with odd names and passwords.
func TestAgainstAnotherImplementation(t *testing.T) {
	for _, mechanism := range []string{"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		other := map[string]scram.HashGeneratorFcn{"SCRAM-SHA-1": scram.SHA1, "SCRAM-SHA-256": scram.SHA256, "SCRAM-SHA-512": scram.SHA512}[mechanism]
		for i, who := range []struct{ username, password string }{
			{"user", "pencil"}, {"a=b,c", "p,=w"}, {"I\u00adX", "\u2168\u00aa"}, {"émile", "e\u0301té"},
		} {
			t.Run(mechanism+" "+strconv.Itoa(i), func(t *testing.T) {
				choice := Choice{
					Mechanism: mechanism, Flag: FlagNone,
					credentials: Credentials{Username: who.username, Password: NewSecret(who.password)},
				}
				m, err := choice.begin()
				if err != nil {
					t.Fatal(err)
				}
				theirs, err := other.NewClient(who.username, who.password, "")
				if err != nil {
					t.Fatal(err)
				}
				stored, err := theirs.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt", Iters: 4096})
				if err != nil {
					t.Fatal(err)
				}
				server, err := other.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
				if err != nil {
					t.Fatal(err)
				}
				conv := server.NewConversation()
				challenge, err := conv.Step(string(step(t)(m.Start())))
				if err != nil {
					t.Fatal(err)
				}
				last, err := conv.Step(string(step(t)(m.Next(t.Context(), []byte(challenge)))))
				if err != nil || !conv.Valid() {
					t.Fatal(err)
				}
				if err := m.Done([]byte(last)); err != nil {
					t.Fatal(err)
				}

				ours, err := NewSCRAMServer(mechanism, Offer{}, Channel{})
				if err != nil {
					t.Fatal(err)
				}
				client := theirs.NewConversation()
				message := ""
				turn := func(f func([]byte) ([]byte, error)) {
					sent, err := client.Step(message)
					if err != nil {
						t.Fatal(err)
					}
					answer, err := f([]byte(sent))
					if err != nil {
						t.Fatal(err)
					}
					message = string(answer)
				}
				turn(func(b []byte) ([]byte, error) {
					if _, _, err := ours.Start(b); err != nil {
						return nil, err
					}
					keys, err := NewStoredKeys(t.Context(), mechanism, NewSecret(who.password), nil, 4096)
					if err != nil {
						return nil, err
					}
					return ours.Challenge(keys)
				})
				turn(ours.Finish)
				if _, err := client.Step(message); err != nil || !client.Valid() {
					t.Fatal(err)
				}
			})
		}
	}
}

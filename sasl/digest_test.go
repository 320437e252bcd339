package sasl

import (
	"errors"
	"strings"
	"testing"
)

// digester begins an exchange of DIGEST-MD5 with a fixed nonce of ours.
func digester(t testing.TB, username, secret, service, domain, cnonce string) *digestClient {
	t.Helper()
	m, err := Choice{Mechanism: digestMD5, credentials: Credentials{Username: username, Domain: domain, Password: NewSecret(secret)}}.begin()
	if err != nil {
		t.Fatal(err)
	}
	d := m.(*digestClient)
	d.service, d.cnonce = service, cnonce
	if initial := step(t)(d.Start()); initial != nil {
		t.Fatalf("it begins with %q", initial)
	}
	return d
}

const (
	imapChallenge = `realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8`
	imapResponse  = `charset=utf-8,username="chris",realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",nc=00000001,` +
		`cnonce="OA6MHXh6VqTrRk",digest-uri="imap/elwood.innosoft.com",response=d388dad90d4bbd760a152321f2143af7,qop=auth`
	imapRspauth = "rspauth=ea40f60335c427b5527b84dbabcdfffd"
)

func imap(t testing.TB) *digestClient {
	t.Helper()
	return digester(t, "chris", "secret", "imap", "elwood.innosoft.com", "OA6MHXh6VqTrRk")
}

// TestSEC52_VectorsOfRFC2831 has both examples of its section 4.
func TestSEC52_VectorsOfRFC2831(t *testing.T) {
	t.Run("IMAP", func(t *testing.T) {
		d := imap(t)
		if got := step(t)(d.Next(t.Context(), []byte(imapChallenge))); string(got) != imapResponse {
			t.Fatalf("%s, want %s", got, imapResponse)
		}
		if got := step(t)(d.Next(t.Context(), []byte(imapRspauth))); got == nil || len(got) != 0 {
			t.Fatalf("%q", got)
		}
		if err := d.Done(nil); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("ACAP", func(t *testing.T) {
		d := digester(t, "chris", "secret", "acap", "elwood.innosoft.com", "OA9BSuZWMSpW8m")
		got := step(t)(d.Next(t.Context(), []byte(`realm="elwood.innosoft.com",nonce="OA9BSXrbuRhWay",qop="auth",algorithm=md5-sess,charset=utf-8`)))
		if !strings.Contains(string(got), ",response=6084c6db3fede7352c551284490fd0fc,") {
			t.Fatalf("%s", got)
		}
		if err := d.Done([]byte("rspauth=2f0b3d7c3c2e486600ef710726aa2eae")); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSEC52_Rspauth takes no success without the server's proof.
func TestSEC52_Rspauth(t *testing.T) {
	for _, tc := range []struct{ name, data string }{
		{"missing", ""},
		{"wrong", "rspauth=fa40f60335c427b5527b84dbabcdfffd"},
		{"in upper case", strings.ToUpper(imapRspauth)},
		{"shortened", imapRspauth[:20]},
		{"our own", "rspauth=d388dad90d4bbd760a152321f2143af7"},
		{"twice", imapRspauth + "," + imapRspauth},
		{"with more", imapRspauth + ",qop=auth"},
		{"empty value", "rspauth="},
		{"not a directive", "x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := imap(t)
			step(t)(d.Next(t.Context(), []byte(imapChallenge)))
			if err := d.Done([]byte(tc.data)); err == nil {
				t.Error("taken")
			}
			if err := d.Done([]byte(imapRspauth)); err == nil {
				t.Error("the right one is taken afterwards")
			}
			if tc.data == "" {
				return
			}
			d = imap(t)
			step(t)(d.Next(t.Context(), []byte(imapChallenge)))
			if _, err := d.Next(t.Context(), []byte(tc.data)); err == nil {
				t.Error("taken as a challenge")
			}
		})
	}
	t.Run("success at once", func(t *testing.T) {
		if err := imap(t).Done(nil); !errors.Is(err, ErrServerUnproven) {
			t.Error(err)
		}
	})
	t.Run("data after the end", func(t *testing.T) {
		d := imap(t)
		step(t)(d.Next(t.Context(), []byte(imapChallenge)))
		step(t)(d.Next(t.Context(), []byte(imapRspauth)))
		if _, err := d.Next(t.Context(), []byte(imapRspauth)); !errors.Is(err, ErrUnexpected) {
			t.Error(err)
		}
	})
}

// TestDigestChallenges has what servers write in other ways.
func TestDigestChallenges(t *testing.T) {
	for _, tc := range []struct {
		name, challenge, has string
		refused              bool
	}{
		{name: "comma inside quotes", challenge: `nonce="n",qop="auth,auth-int",algorithm=md5-sess,charset=utf-8`, has: `nonce="n"`},
		{name: "comma and quote in the nonce", challenge: `nonce="a,\"b\\c",algorithm=md5-sess`, has: `nonce="a,\"b\\c"`},
		{name: "white space and empty elements", challenge: " ,, nonce = \"n\" ,\r\n\talgorithm=md5-sess,,", has: `nonce="n"`},
		{name: "names in upper case", challenge: `NONCE="n",Algorithm=md5-sess,CHARSET=UTF-8`, has: `charset=utf-8,`},
		{name: "unknown directives", challenge: `nonce="n",algorithm=md5-sess,foo="bar",foo=baz,opaque="x"`, has: `nonce="n"`},
		{name: "no realm", challenge: `nonce="n",algorithm=md5-sess`, has: `username="chris",nonce=`},
		{name: "ours among the realms", challenge: `realm="a",realm="elwood.innosoft.com",nonce="n",algorithm=md5-sess`, has: `realm="elwood.innosoft.com"`},
		{name: "ours not among the realms", challenge: `realm="a",realm="b",nonce="n",algorithm=md5-sess`, has: `realm="a"`},
		{name: "no charset", challenge: `nonce="n",algorithm=md5-sess`, has: `username="chris"`},
		{name: "no nonce", challenge: `qop="auth",algorithm=md5-sess`, refused: true},
		{name: "two nonces", challenge: `nonce="n",nonce="n",algorithm=md5-sess`, refused: true},
		{name: "empty nonce", challenge: `nonce="",algorithm=md5-sess`, refused: true},
		{name: "no algorithm", challenge: `nonce="n"`, refused: true},
		{name: "two algorithms", challenge: `nonce="n",algorithm=md5-sess,algorithm=md5-sess`, refused: true},
		{name: "other algorithm", challenge: `nonce="n",algorithm=md5`, refused: true},
		{name: "other charset", challenge: `nonce="n",algorithm=md5-sess,charset=latin1`, refused: true},
		{name: "no auth", challenge: `nonce="n",algorithm=md5-sess,qop="auth-int,auth-conf"`, refused: true},
		{name: "two qop", challenge: `nonce="n",algorithm=md5-sess,qop="auth",qop="auth"`, refused: true},
		{name: "quote not closed", challenge: `algorithm=md5-sess,nonce="n`, refused: true},
		{name: "escape at the end", challenge: `algorithm=md5-sess,nonce="n\`, refused: true},
		{name: "control character", challenge: "algorithm=md5-sess,nonce=\"n\x01\"", refused: true},
		{name: "no value", challenge: `nonce`, refused: true},
		{name: "no name", challenge: `="n"`, refused: true},
		{name: "something behind a value", challenge: `nonce="n"x,algorithm=md5-sess`, refused: true},
		{name: "not UTF-8", challenge: "nonce=\"\xff\",algorithm=md5-sess", refused: true},
		{name: "too long", challenge: `nonce="` + strings.Repeat("n", maxDigest) + `",algorithm=md5-sess`, refused: true},
		{name: "empty", challenge: ``, refused: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := imap(t)
			response, err := d.Next(t.Context(), []byte(tc.challenge))
			if tc.refused {
				if !errors.Is(err, ErrMalformed) || response != nil {
					t.Errorf("%s, %v", response, err)
				}
				return
			}
			if err != nil || !strings.Contains(string(response), tc.has) {
				t.Errorf("%s, %v, want %s in it", response, err, tc.has)
			}
		})
	}
}

// TestDigestCharsets hashes what fits into ISO 8859-1 as such (RFC 2831 section 2.1.2.1), and refuses what a server cannot read.
func TestDigestCharsets(t *testing.T) {
	answer := func(username, secret, charset string) (string, error) {
		b, err := digester(t, username, secret, "xmpp", "example.org", "c").Next(t.Context(), []byte(`realm="r",nonce="n",algorithm=md5-sess`+charset))
		return string(b), err
	}
	hash := func(s string) string { _, r, _ := strings.Cut(s, "response="); return r[:32] }
	utf8, err := answer("é", "ü", ",charset=utf-8")
	if err != nil || !strings.HasPrefix(utf8, `charset=utf-8,username="é"`) {
		t.Fatal(utf8, err)
	}
	latin1, err := answer("é", "ü", "")
	if err != nil || !strings.HasPrefix(latin1, "username=\"\xe9\"") {
		t.Fatalf("%q, %v", latin1, err)
	}
	if hash(utf8) != hash(latin1) {
		t.Error("the two are hashed in different ways")
	}
	// Another implementation's (Python's hashlib): user name in UTF-8, password in ISO 8859-1.
	if mixed, err := answer("ψ", "ü", ",charset=utf-8"); err != nil || hash(mixed) != "017a844de28097466709de15ab0e7885" {
		t.Error(mixed, err)
	}
	for _, who := range [][2]string{{"ψ", "p"}, {"u", "ψ"}} {
		var refused *PrepError
		if s, err := answer(who[0], who[1], ""); !errors.As(err, &refused) {
			t.Error(s, err)
		}
	}
	d := imap(t)
	d.authzID = "a@b"
	if b, err := d.Next(t.Context(), []byte(imapChallenge)); err != nil || !strings.HasSuffix(string(b), `,authzid="a@b"`) || strings.Contains(string(b), "d388dad9") {
		t.Errorf("%s, %v", b, err)
	}
}

func TestDigestOrder(t *testing.T) {
	d := imap(t)
	if _, err := d.Start(); !errors.Is(err, ErrUnexpected) {
		t.Error(err)
	}
	step(t)(d.Next(t.Context(), []byte(imapChallenge)))
	step(t)(d.Next(t.Context(), []byte(imapRspauth)))
	if err := d.Done([]byte(imapRspauth)); !errors.Is(err, ErrUnexpected) {
		t.Error(err)
	}
}

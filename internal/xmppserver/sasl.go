package xmppserver

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/xdg-go/scram"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

// mechanisms are those that are offered to who says to be this account, nil where nobody says so; all of them inside TLS only.
func (s *Server) mechanisms(claimed *account) []string {
	all := []string{"SCRAM-SHA-256", "SCRAM-SHA-1"}
	if s.upgraded(claimed) {
		all = append([]string{upgradedTo}, all...)
	}
	if s.cfg.Binding {
		for _, m := range slices.Clone(all) {
			all = append(all, m+plusSuffix)
		}
	}
	return append(all, "PLAIN")
}

// scramIterations is the least that RFC 5802 section 5.1 allows; the server lives in a test.
const scramIterations = 4096

// scramKeys are an account's stored keys by mechanism, made when they are first used.
type scramKeys map[string]scram.StoredCredentials

// saslError is a defined condition of RFC 6120 section 6.5.
type saslError string

func (f saslError) Error() string { return "xmppserver: SASL failure " + string(f) }

// authenticate carries out one attempt. It returns nil without an error where that failed and another may follow.
func (s *Server) authenticate(l *link, auth xmltree.Element) (*account, error) {
	user, err := s.exchange(l, auth)
	var failure saslError
	if errors.As(err, &failure) {
		l.send([]byte("<failure xmlns='" + nsSASL + "'><" + string(failure) + "/></failure>"))
		return nil, l.flush()
	}
	return user, err
}

func (s *Server) exchange(l *link, auth xmltree.Element) (*account, error) {
	if !l.encrypted() {
		return nil, saslError("encryption-required")
	}
	initial, err := decodeSASL(auth.Text())
	if err != nil {
		return nil, err
	}
	user, last, err := s.prove(l, nsSASL, auth.Attr("mechanism"), initial, auth.Text() == "")
	if err != nil {
		return nil, err
	}
	l.send([]byte("<success xmlns='" + nsSASL + "'>" + base64.StdEncoding.EncodeToString([]byte(last)) + "</success>"))
	return user, l.flush()
}

// prove carries out the exchange of a mechanism, in elements of this namespace. With ask, the client sent no initial response. last is
// what success carries.
func (s *Server) prove(l *link, space, mechanism string, initial []byte, ask bool) (user *account, last string, err error) {
	switch scramName := strings.TrimSuffix(mechanism, plusSuffix); {
	case mechanism == "PLAIN":
		if ask {
			if initial, err = l.challenge(space, nil); err != nil {
				return nil, "", err
			}
		}
		user, err = s.plain(initial)
	case scramName != mechanism && !s.cfg.Binding:
		err = saslError("invalid-mechanism")
	case scramName == "SCRAM-SHA-1":
		user, last, err = s.scram(l, space, mechanism, scram.SHA1, ask, initial)
	case scramName == "SCRAM-SHA-256":
		user, last, err = s.scram(l, space, mechanism, scram.SHA256, ask, initial)
	case scramName == upgradedTo && s.upgraded(l.claimed):
		user, last, err = s.scram(l, space, mechanism, scram.SHA512, ask, initial)
	default:
		err = saslError("invalid-mechanism")
	}
	return user, last, err
}

// decodeSASL decodes what an element of SASL carries: base64, or "=" for nothing (RFC 6120 section 6.4.2).
func decodeSASL(text string) ([]byte, error) {
	if text == "=" {
		return nil, nil
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, saslError("incorrect-encoding")
	}
	return b, nil
}

// challenge sends a challenge and returns the response.
func (l *link) challenge(space string, data []byte) ([]byte, error) {
	l.send([]byte("<challenge xmlns='" + space + "'>" + base64.StdEncoding.EncodeToString(data) + "</challenge>"))
	el, err := l.reply(space, "response")
	if err != nil {
		return nil, err
	}
	return decodeSASL(el.Text())
}

// reply returns the client's next element of an exchange, which must have this name.
func (l *link) reply(space, name string) (xmltree.Element, error) {
	if err := l.flush(); err != nil {
		return xmltree.Element{}, err
	}
	el, err := l.elementOrEnd()
	switch {
	case err != nil:
		return el, err
	case el.Is(space, "abort"):
		return el, saslError("aborted")
	case !el.Is(space, name):
		return el, streamFailure(stanza.StreamNotAuthorized, "")
	}
	return el, nil
}

// plain is RFC 4616.
func (s *Server) plain(message []byte) (*account, error) {
	parts := bytes.Split(message, []byte{0})
	if len(parts) != 3 {
		return nil, saslError("malformed-request")
	}
	user := s.user(string(parts[1]))
	password := rand.Text() // an unknown user has a password that nobody knows
	if user != nil {
		s.users.mu.Lock()
		password = user.password
		s.users.mu.Unlock()
	}
	if subtle.ConstantTimeCompare([]byte(password), parts[2]) != 1 || user == nil {
		return nil, saslError("not-authorized")
	}
	return user, s.mayActAs(user, string(parts[0]))
}

// user returns the account that a client means by a name.
func (s *Server) user(name string) *account {
	j, err := jid.New(name, s.domain.Domain(), "")
	if err != nil {
		return nil
	}
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	return s.users.find(j.Local())
}

// mayActAs checks the authorization identity: only the user's own is allowed (RFC 6120 section 6.3.8).
func (s *Server) mayActAs(user *account, authzid string) error {
	if authzid == "" {
		return nil
	}
	if j, err := jid.Parse(authzid); err != nil || j != user.jid {
		return saslError("invalid-authzid")
	}
	return nil
}

// scram is RFC 5802 and RFC 7677. last is what success carries.
func (s *Server) scram(l *link, space, name string, hash scram.HashGeneratorFcn, ask bool, first []byte) (user *account, last string, err error) {
	server, err := hash.NewServer(func(name2 string) (scram.StoredCredentials, error) {
		if user = s.user(name2); user == nil {
			return scram.StoredCredentials{}, fmt.Errorf("xmppserver: no user %q", name2)
		}
		return s.scramKeys(user, strings.TrimSuffix(name, plusSuffix), hash)
	})
	if err != nil {
		return nil, "", fmt.Errorf("xmppserver: %w", err)
	}
	if ask {
		if first, err = l.challenge(space, nil); err != nil {
			return nil, "", err
		}
	}
	conv := server.NewConversation()
	if s.cfg.Binding {
		b := scramBinding(s.channel(l), first)
		if conv = server.NewConversationWithChannelBinding(b); strings.HasSuffix(name, plusSuffix) {
			conv = server.NewConversationWithChannelBindingRequired(b)
		}
	}
	challenge, err := conv.Step(string(first))
	if err != nil {
		if user == nil && challenge == scram.ErrUnknownUser {
			return nil, "", saslError("not-authorized")
		}
		return nil, "", saslError("malformed-request")
	}
	final, err := l.challenge(space, []byte(challenge))
	if err != nil {
		return nil, "", err
	}
	if last, err = conv.Step(string(final)); err != nil || !conv.Valid() {
		return nil, "", saslError("not-authorized")
	}
	return user, last, s.mayActAs(user, conv.AuthzID())
}

// scramKeys returns the keys of an account for a mechanism.
func (s *Server) scramKeys(user *account, mechanism string, hash scram.HashGeneratorFcn) (scram.StoredCredentials, error) {
	s.users.mu.Lock()
	keys, ok := user.scram[mechanism]
	password := user.password
	s.users.mu.Unlock()
	if ok {
		return keys, nil
	}
	client, err := hash.NewClient(user.jid.Local(), password, "")
	if err != nil { // what SASLprep refuses is taken as it is
		if client, err = hash.NewClientUnprepped(user.jid.Local(), password, ""); err != nil {
			return keys, fmt.Errorf("xmppserver: %w", err)
		}
	}
	keys, err = client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: rand.Text(), Iters: scramIterations})
	if err != nil {
		return keys, fmt.Errorf("xmppserver: %w", err)
	}
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	if user.password != password { // changed meanwhile
		return keys, nil
	}
	if first, ok := user.scram[mechanism]; ok { // somebody else was faster
		return first, nil
	}
	if user.scram == nil {
		user.scram = make(scramKeys)
	}
	user.scram[mechanism] = keys
	return keys, nil
}

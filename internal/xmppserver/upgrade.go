package xmppserver

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"strconv"

	"github.com/xdg-go/scram"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xmltree"
)

const (
	nsUpgrade      = "urn:xmpp:sasl:upgrade:0"  // XEP-0480
	nsSCRAMUpgrade = "urn:xmpp:scram-upgrade:0" // the same

	upgradedTo  = "SCRAM-SHA-512"
	upgradeTask = "UPGR-" + upgradedTo
)

// upgraded reports whether an account has the hash of the better mechanism.
func (s *Server) upgraded(a *account) bool {
	if a == nil {
		return false
	}
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	_, ok := a.scram[upgradedTo]
	return ok
}

// upgrade carries out the task that a client offered, where the account still lacks what comes of it. It returns what the mechanism has
// to say with the success.
func (s *Server) upgrade(l *link, user *account, auth xmltree.Element, last string) (string, error) {
	task, ok := auth.Child(nsUpgrade, "upgrade")
	if !ok || !s.cfg.Upgrade || task.Text() != upgradeTask || s.upgraded(user) {
		return last, nil
	}
	s.users.mu.Lock()
	wrongs := s.users.wrongs
	s.users.mu.Unlock()
	salt, iterations := rand.Text(), scramIterations
	if wrongs.BadSalt {
		iterations = 2_000_000_000
	}
	tasks := element{local: "tasks", children: []element{{local: "task", text: upgradeTask}}}
	proof := element{local: "additional-data", text: base64.StdEncoding.EncodeToString([]byte(last))}
	demand := element{space: nsSASL2, local: "continue", children: []element{proof, tasks}}
	if wrongs.EarlyTasks {
		demand.children = demand.children[1:]
	}
	el, err := l.task(demand, "next")
	if err != nil {
		return "", err
	}
	if el.Attr("task") != upgradeTask {
		return "", saslError("malformed-request")
	}
	el, err = l.task(element{space: nsSASL2, local: "task-data", children: []element{{
		space: nsSCRAMUpgrade, local: "salt", text: base64.StdEncoding.EncodeToString([]byte(salt)), attrs: []string{"iterations", strconv.Itoa(iterations)},
	}}}, "task-data")
	if err != nil {
		return "", err
	}
	hash, _ := el.Child(nsSCRAMUpgrade, "hash")
	salted, err := base64.StdEncoding.DecodeString(hash.Text())
	if err != nil || len(salted) != sha512.Size {
		return "", saslError("malformed-request")
	}
	sign := func(text string) []byte {
		mac := hmac.New(sha512.New, salted)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	stored := sha512.Sum512(sign("Client Key"))
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	user.scram[upgradedTo] = scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: salt, Iters: iterations}, StoredKey: stored[:], ServerKey: sign("Server Key"),
	}
	return "", nil
}

// task sends an element of a task and returns the client's, which must have this name.
func (l *link) task(e element, name string) (xmltree.Element, error) {
	enc := xmltree.NewEncoder(nil, stanza.NS)
	enc.Element(e.tree())
	l.send(enc.Bytes())
	return l.reply(nsSASL2, name)
}

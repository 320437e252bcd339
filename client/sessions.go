package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/secret"
)

// MaxSessionPart is how large one part of a session is at most, in bytes.
const MaxSessionPart = secret.MaxSize

// Sessions keeps what it takes to go on with a session in another process (see Config.Sessions), in numbered parts, for many accounts
// and goroutines. An account is served by one client at a time.
type Sessions interface {
	// Part returns a part of an account's session, given bare; nil where there is none.
	Part(ctx context.Context, account jid.JID, number int) ([]byte, error)
	// Change puts parts, some of which may be there already, and forgets others, which need not be there: all of it or nothing. After
	// nil it outlasts the process.
	Change(ctx context.Context, account jid.JID, put map[int][]byte, forget []int) error
}

// sessionName is what the first part of a session is called among the secrets of its account. The others have their number behind it.
const sessionName = "xmpp session"

// vaultSessions seals sessions.
type vaultSessions struct {
	vault *secret.Vault
	tx    storage.Transactor
}

// NewVaultSessions returns Sessions that are sealed in a database, that of the vault: on some servers whoever knows the id of a session
// may have it, and what it has to say is nobody's business either.
func NewVaultSessions(v *secret.Vault, tx storage.Transactor) Sessions { return vaultSessions{v, tx} }

func partID(account jid.JID, number int) storage.CredentialID {
	id := storage.CredentialID{User: account.Bare(), Name: sessionName}
	if number > 0 {
		id.Name += " " + strconv.Itoa(number)
	}
	return id
}

// Part implements Sessions.
func (k vaultSessions) Part(ctx context.Context, account jid.JID, number int) ([]byte, error) {
	s, err := k.vault.Get(ctx, partID(account, number))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	return []byte(s.Reveal()), err
}

// Change implements Sessions.
func (k vaultSessions) Change(ctx context.Context, account jid.JID, put map[int][]byte, forget []int) error {
	return k.tx.InTx(ctx, func(ctx context.Context) error {
		for number, part := range put {
			if err := k.vault.Put(ctx, partID(account, number), secret.New(string(part))); err != nil {
				return err
			}
		}
		for _, number := range forget {
			if err := k.vault.Delete(ctx, partID(account, number)); err != nil {
				return err
			}
		}
		return nil
	})
}

// head is the first part of a session. The others, from From to To, are the stanzas in their order, each behind its size. Fields are
// only ever added.
type head struct {
	ID       string    `json:"id,omitempty"` // empty: it can't be resumed, and what is left is for the next one
	Location string    `json:"location,omitempty"`
	Max      int       `json:"max,omitempty"` // seconds
	JID      string    `json:"jid,omitempty"`
	Lost     time.Time `json:"lost,omitzero"` // when its connection was lost, if that is known
	In       uint32    `json:"in"`            // stanzas of the server that were handled
	Out      uint32    `json:"out"`           // and what the server has acknowledged of ours
	Oldest   uint64    `json:"oldest"`        // number of the oldest stanza that it has not
	First    uint64    `json:"first"`         // number of the first stanza in the parts
	From     int       `json:"from"`
	To       int       `json:"to"` // excluded
}

var errUnreadable = errors.New("client: what is kept of the session cannot be read") // a cause would show a part of it

// parseHead reads the first part.
func parseHead(b []byte) (h head, own jid.JID, err error) {
	err = json.Unmarshal(b, &h)
	if err == nil && h.ID != "" {
		own, err = jid.ParseRouted(h.JID)
	}
	if err != nil || h.From < 1 || h.To < h.From || h.Oldest < h.First || h.Max < 0 {
		return head{}, jid.JID{}, errUnreadable
	}
	return h, own, nil
}

// maxKept bounds what is read of a session, in bytes, beyond the limits of its queue: senders that need not wait for room.
const maxKept = 4 << 20

// stanzas reads the other parts, and returns the stanzas from the oldest on. most bounds their bytes.
func (h *head) stanzas(most int, part func(number int) ([]byte, error)) (all [][]byte, err error) {
	var data []byte
	for n := h.From; n < h.To; n++ {
		b, err := part(n)
		if err != nil {
			return nil, err
		}
		if len(b) == 0 || len(data)+len(b) > most {
			return nil, errUnreadable
		}
		data = append(data, b...)
	}
	for n := h.First; len(data) > 0; n++ {
		var xml []byte
		if xml, data, err = unframe(data); err != nil {
			return nil, err
		}
		if n >= h.Oldest {
			all = append(all, xml)
		}
	}
	return all, nil
}

// frameSize is how many digits stand in front of a stanza.
const frameSize = 8

func appendFrame(dst, xml []byte) []byte {
	return append(fmt.Appendf(dst, "%0*x", frameSize, len(xml)), xml...)
}

func unframe(data []byte) (xml, rest []byte, err error) {
	if len(data) < frameSize {
		return nil, nil, errUnreadable
	}
	size, err := strconv.ParseUint(string(data[:frameSize]), 16, 31)
	data = data[frameSize:]
	if err != nil || size > uint64(len(data)) {
		return nil, nil, errUnreadable
	}
	return data[:size], data[size:], nil
}

package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postern-im/postern/jid"
)

// ErrInvalid is that a value is none that a store keeps: it is too large, or not what its field can hold. Every engine refuses the
// same values, through the Check methods of this package, before it asks the database.
var ErrInvalid = errors.New("storage: value cannot be kept")

// Limits of what is kept, in bytes where nothing else is said.
const (
	MaxAccountName    = 1024
	MaxAccountData    = 64 << 10
	MaxCredentialName = 255
	MaxKeyID          = 64
	MaxBox            = 64 << 10
	MaxSubscriptions  = 2000 // of one user; one more is ErrFull
	MaxItemName       = 4096
	MaxItemGroups     = 128 // groups
	MaxGroup          = 1024
	MaxRosterItems    = 10_000 // items; one more is ErrFull
	MaxGrantData      = 64 << 10
	MaxGrants         = 100 // grants of one server and kind
	MaxNamespace      = 255
	MaxDatumKey       = 1024
	MaxDatum          = 256 << 10
	MaxConversation   = 2048
	MaxStanzaID       = 255
	MaxStanza         = 256 << 10
	MaxReason         = 1024
	MaxDirection      = 32
	MaxPeer           = 2048
	MaxBucket         = 64
	MaxBlobKey        = 1024
	MaxBlob           = 256 << 10
	MaxLeaseName      = 255
	MaxLeaseFor       = 24 * time.Hour
)

func invalid(what, why string) error { return fmt.Errorf("%w: the %s %s", ErrInvalid, what, why) }

// checkText holds a text to what both engines can keep as text.
func checkText(what, s string, least, most int) error {
	switch {
	case len(s) < least:
		return invalid(what, "is empty")
	case len(s) > most:
		return invalid(what, fmt.Sprintf("has %d bytes, at most %d", len(s), most))
	case strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s): // guard: SEC-68
		return invalid(what, "is no UTF-8 text without NUL")
	}
	return nil
}

func checkSize(what string, b []byte, most int) error {
	if len(b) > most {
		return invalid(what, fmt.Sprintf("has %d bytes, at most %d", len(b), most))
	}
	return nil
}

func checkAddress(what string, j jid.JID) error {
	if j.IsZero() {
		return invalid(what, "is empty")
	}
	return nil
}

// Key returns the text under which the bare form of an address is kept: that of [jid.JID.Normal].
func Key(j jid.JID) string { return FullKey(j.Bare()) }

// FullKey is Key with the resourcepart.
func FullKey(j jid.JID) string {
	j, _ = j.Normal()
	return j.String()
}

// Conversation returns the name of the conversation between two addresses, in one direction, under which an [Outbox] keeps what is
// sent in it.
func Conversation(from, to jid.JID) string {
	name := Key(from) + " " + Key(to)
	if len(name) > MaxConversation {
		sum := sha256.Sum256([]byte(name))
		return "sha256 " + hex.EncodeToString(sum[:])
	}
	return name
}

// Check returns an ErrInvalid if the account cannot be kept.
func (a Account) Check() error {
	return errors.Join(checkAddress("user", a.User), checkText("account's name", a.Name, 0, MaxAccountName),
		checkSize("account's data", a.Data, MaxAccountData))
}

// Check returns an ErrInvalid if nothing can be kept under the id.
func (id CredentialID) Check() error {
	return errors.Join(checkAddress("user", id.User), checkText("credential's name", id.Name, 1, MaxCredentialName))
}

// Check returns an ErrInvalid if the box cannot be kept.
func (s Sealed) Check() error {
	return errors.Join(checkText("key's id", s.Key, 1, MaxKeyID), checkSize("box", s.Box, MaxBox))
}

// Check returns an ErrInvalid if the subscription cannot be kept.
func (s Subscription) Check() error {
	err := errors.Join(checkAddress("own address", s.Own), checkAddress("user", s.User))
	if s.State > From|To|PendingIn|PendingOut {
		err = errors.Join(err, invalid("state", "has flags that mean nothing"))
	}
	return err
}

// Check returns an ErrInvalid if the item cannot be kept.
func (i RosterItem) Check() error {
	err := errors.Join(checkAddress("contact", i.Contact), checkText("contact's name", i.Name, 0, MaxItemName))
	switch i.Subscription {
	case "none", "to", "from", "both":
	default:
		err = errors.Join(err, invalid("contact's subscription", "is not none, to, from or both"))
	}
	if len(i.Groups) > MaxItemGroups {
		return errors.Join(err, invalid("contact", fmt.Sprintf("is in %d groups, at most %d", len(i.Groups), MaxItemGroups)))
	}
	for _, g := range i.Groups {
		err = errors.Join(err, checkText("group", g, 0, MaxGroup))
	}
	return err
}

// SortedItems returns items as an engine keeps them: in the order of their contacts' keys, of each contact the last one only, and
// the groups of each sorted and without duplicates. It returns an ErrInvalid or ErrFull for what cannot be kept.
func SortedItems(items []RosterItem) ([]RosterItem, error) {
	byKey := make(map[string]RosterItem, len(items))
	for _, i := range items {
		if err := i.Check(); err != nil {
			return nil, err
		}
		i.Groups = slices.Clone(i.Groups)
		slices.Sort(i.Groups)
		i.Groups = slices.Compact(i.Groups)
		byKey[FullKey(i.Contact)] = i
	}
	if len(byKey) > MaxRosterItems {
		return nil, fmt.Errorf("%w: the roster has %d items, at most %d", ErrFull, len(byKey), MaxRosterItems)
	}
	sorted := make([]RosterItem, 0, len(byKey))
	for _, i := range byKey {
		sorted = append(sorted, i)
	}
	slices.SortFunc(sorted, func(a, b RosterItem) int { return strings.Compare(FullKey(a.Contact), FullKey(b.Contact)) })
	return sorted, nil
}

// CheckGrant returns an ErrInvalid if the grant cannot be kept.
func CheckGrant(server jid.JID, kind GrantKind, data []byte) error {
	err := errors.Join(checkAddress("server", server), checkSize("grant", data, MaxGrantData))
	if kind != GrantPrivilege && kind != GrantDelegation {
		err = errors.Join(err, invalid("kind of grant", "is none"))
	}
	return err
}

// Check returns an ErrInvalid if nothing can be kept under the id.
func (id DatumID) Check() error {
	return errors.Join(checkAddress("owner", id.Owner), checkText("namespace", id.Namespace, 1, MaxNamespace),
		checkText("datum's key", id.Key, 0, MaxDatumKey))
}

// CheckDatum returns an ErrInvalid if the data cannot be kept under the id, and ErrFull if they alone are more than the quota.
func CheckDatum(id DatumID, data []byte, quota int) error {
	if err := errors.Join(id.Check(), checkSize("datum", data, MaxDatum)); err != nil {
		return err
	}
	if n := len(id.Key) + len(data); n > quota {
		return fmt.Errorf("%w: %d bytes, the quota is %d", ErrFull, n, quota)
	}
	return nil
}

// Check returns an ErrInvalid if the message cannot be kept.
func (m OutboxMessage) Check() error {
	return errors.Join(checkText("conversation", m.Conversation, 1, MaxConversation), checkText("stanza's id", m.ID, 1, MaxStanzaID),
		checkSize("stanza", m.Stanza, MaxStanza))
}

// CleanReason makes a reason one that can be kept. A reason is for people, and may hold what a peer wrote: it is cut short and what
// is no text in it is replaced, never refused.
func CleanReason(reason string) string {
	reason = strings.ReplaceAll(strings.ToValidUTF8(reason, "\ufffd"), "\x00", "\ufffd")
	if len(reason) <= MaxReason {
		return reason
	}
	end := MaxReason
	for !utf8.RuneStart(reason[end]) {
		end--
	}
	return reason[:end]
}

// CheckInbox returns an ErrInvalid if the arrival cannot be kept.
func CheckInbox(direction, peer, id string) error {
	return errors.Join(checkText("direction", direction, 1, MaxDirection), checkText("peer", peer, 1, MaxPeer),
		checkText("id", id, 1, MaxStanzaID))
}

// CheckBlobKey returns an ErrInvalid if nothing can be kept under the key.
func CheckBlobKey(bucket, key string) error {
	return errors.Join(checkText("bucket", bucket, 1, MaxBucket), checkText("key", key, 0, MaxBlobKey))
}

// CheckBlob returns an ErrInvalid if the blob cannot be kept.
func CheckBlob(bucket, key string, data []byte, keep int) error {
	err := errors.Join(CheckBlobKey(bucket, key), checkSize("blob", data, MaxBlob))
	if keep < 1 {
		err = errors.Join(err, invalid("number of blobs to keep", "is less than 1"))
	}
	return err
}

// CheckLease returns an ErrInvalid if there can be no such lease.
func CheckLease(name, holder string, ttl time.Duration) error {
	err := errors.Join(checkText("lease's name", name, 1, MaxLeaseName), checkText("lease's holder", holder, 1, MaxLeaseName))
	if ttl < time.Millisecond || ttl > MaxLeaseFor {
		err = errors.Join(err, invalid("lease's duration", fmt.Sprintf("is %v, not between 1ms and %v", ttl, MaxLeaseFor)))
	}
	return err
}

// Instant returns a time as an engine keeps it: in UTC, in whole microseconds, in the years 1 to 9999.
func Instant(t time.Time) time.Time {
	first, last := time.Time{}, time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)
	switch t = t.UTC().Truncate(time.Microsecond); {
	case t.Before(first):
		return first
	case t.After(last):
		return last
	}
	return t
}

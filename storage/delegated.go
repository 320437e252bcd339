package storage

import (
	"context"
	"iter"

	"github.com/postern-im/postern/jid"
)

// DatumID names a piece of a namespace's data that we keep for a server (XEP-0355).
type DatumID struct {
	Owner     jid.JID // bare: the account whose data it is, or the server's domain
	Namespace string  // the delegated namespace; at most 255 bytes
	Key       string  // what it is within the namespace, such as an element's name; at most 1,024 bytes
}

// Delegated is the data of delegated namespaces.
type Delegated interface {
	// Datum returns a piece of data; ErrNotFound where there is none.
	Datum(ctx context.Context, id DatumID) ([]byte, error)
	// PutDatum adds or replaces a piece of data. All that one owner has in one namespace may be at most quota bytes, keys and
	// values together, afterwards; else it is ErrFull and nothing changes. One piece is at most 256 KiB.
	PutDatum(ctx context.Context, id DatumID, data []byte, quota int) error
	// DeleteDatum forgets a piece of data. It is no error if there is none.
	DeleteDatum(ctx context.Context, id DatumID) error
	// EachDatum yields what an owner has in a namespace, in the order of the keys. An error ends it. Neither a lock nor a
	// transaction is held from one to the next.
	EachDatum(ctx context.Context, owner jid.JID, namespace string) iter.Seq2[Datum, error]
}

// Datum is a piece of data with its key.
type Datum struct {
	Key  string
	Data []byte
}

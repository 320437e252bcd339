package disco

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/xep/rsm"
	"github.com/postern-im/postern/xmltree"
)

// ClientConfig bounds what a [Client] keeps and asks. Zero fields mean defaults.
type ClientConfig struct {
	MaxEntries int           // answers that are kept; default 10,000
	MaxBytes   int           // memory that they may take; default 16 MiB
	MaxAnswer  int           // bytes of one Info; default 64 KiB
	MaxAge     time.Duration // how long an answer is kept that no hash proves; default 10 min
	MaxItems   int           // items of one address or node; default 10,000
	PageItems  int           // items asked for at once; default 200
}

// maxPages is how many pages GetItems takes.
const maxPages = 500

// ErrTooMany is wrapped by the error of [Client.GetItems] for more items, or smaller pages, than it takes. The items so far
// come with it.
var ErrTooMany = errors.New("disco: too many items")

// Client asks others what they are, what they can do and what belongs to them. It keeps answers in bounded memory and asks
// nobody the same twice at a time. It is for many goroutines at once.
//
// The answers are shared: nobody may change them.
type Client struct {
	out     stanza.Sender
	cfg     ClientConfig
	cache   *cache
	flights flights
}

// NewClient returns a client that asks through out.
func NewClient(out stanza.Sender, cfg ClientConfig) *Client {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&cfg.MaxEntries, 10_000)
	def(&cfg.MaxBytes, 16<<20)
	def(&cfg.MaxAnswer, 64<<10)
	def(&cfg.MaxItems, 10_000)
	def(&cfg.PageItems, 200)
	if cfg.MaxAge <= 0 {
		cfg.MaxAge = 10 * time.Minute
	}
	return &Client{out: out, cfg: cfg, cache: newCache(cfg.MaxEntries, cfg.MaxBytes)}
}

// GetInfo returns what an address, or a node of it, is and can do, as the address says now or said within MaxAge. Errors are
// those of Request, ErrTooLarge, and what keeps an answer from being read.
func (c *Client) GetInfo(ctx context.Context, of jid.JID, node string) (Info, error) {
	at := key{jid: of, text: node}
	for {
		if info, ok := c.cache.get(at); ok {
			return info, nil
		}
		done, mine := c.flights.join(at)
		if mine {
			defer c.flights.leave(at)
			return c.ask(ctx, of, node)
		}
		if err := wait(ctx, done); err != nil {
			return Info{}, err
		}
		if info, ok := c.cache.get(at); ok {
			return info, nil
		}
		// The other one failed, perhaps since its own context ended: it is our turn to ask.
	}
}

// GetCaps returns what is behind the capabilities that the address of announces in presence. If the hash proves right the
// answer holds for all who announce the same, for good, and none of them is asked again. Otherwise, and for hashes that we
// don't know, it is what GetInfo returns for this address alone (XEP-0115 section 5.4).
func (c *Client) GetCaps(ctx context.Context, of jid.JID, caps Caps) (Info, error) {
	if newHash(caps.Hash) == nil { // nothing to be proved, so nothing to wait for at other addresses
		return c.GetInfo(ctx, of, caps.InfoNode())
	}
	all, one := key{hash: caps.Hash, text: caps.Ver}, key{jid: of, text: caps.InfoNode()}
	for {
		if info, ok := c.cache.get(all); ok {
			return info, nil
		}
		if info, ok := c.cache.get(one); ok {
			return info, nil
		}
		done, mine := c.flights.join(all)
		if mine {
			defer c.flights.leave(all)
			info, err := c.ask(ctx, of, caps.InfoNode())
			if err != nil {
				return Info{}, err
			}
			if caps.Verify(info) == nil { // guard: SEC-64 replace: caps.Verify(info) == nil => true
				c.cache.move(one, all)
			}
			return info, nil
		}
		if err := wait(ctx, done); err != nil {
			return Info{}, err
		}
	}
}

// OfPresence returns what the sender of available presence is and can do: by its capabilities if it announces any, or by asking
// the address itself.
func (c *Client) OfPresence(ctx context.Context, p *stanza.Presence) (Info, error) {
	caps, ok, err := stanza.Find[Caps](p.Payloads)
	if err != nil || !ok {
		return c.GetInfo(ctx, p.From, "")
	}
	return c.GetCaps(ctx, p.From, caps)
}

// ask sends one question and keeps the answer for the address that gave it.
func (c *Client) ask(ctx context.Context, of jid.JID, node string) (Info, error) {
	iq, err := c.out.Request(ctx, &stanza.IQ{Header: stanza.Header{To: of}, Type: stanza.IQGet, Payload: Info{Node: node}})
	if err != nil {
		return Info{}, err
	}
	if err := c.bounded(iq.Payload); err != nil {
		return Info{}, err
	}
	got, err := stanza.Decode[Info](iq.Payload)
	if err != nil {
		return Info{}, fmt.Errorf("disco: %w", err)
	}
	info, size := own(got)
	c.cache.put(key{jid: of, text: node}, info, size, time.Now().Add(c.cfg.MaxAge))
	return info, nil
}

// bounded reports whether an answer is small enough to be read and kept.
func (c *Client) bounded(p stanza.Payload) error {
	if p == nil {
		return fmt.Errorf("disco: %w", stanza.ErrNoPayload)
	}
	enc := xmltree.NewEncoder(nil, "")
	enc.SetLimits(c.cfg.MaxAnswer, 64)
	stanza.EncodePayload(enc, p)
	if errors.Is(enc.Err(), xmltree.ErrTooLarge) { // guard: SEC-65
		return ErrTooLarge
	}
	return enc.Err()
}

// GetItems returns what belongs to an address, or to a node of it: all pages, if the answer comes in pages. Nothing is kept.
func (c *Client) GetItems(ctx context.Context, of jid.JID, node string) ([]Item, error) {
	var all []Item
	req, more := &rsm.Set{Max: new(c.cfg.PageItems)}, true
	for pages := 0; more; pages++ {
		if pages == maxPages || len(all) >= c.cfg.MaxItems { // guard: SEC-65
			return all, fmt.Errorf("%w: %d from %s, and there are more", ErrTooMany, len(all), of)
		}
		page, err := c.itemsPage(ctx, of, node, req)
		if err != nil {
			return all, err
		}
		all = append(all, page.Items...)
		req, more = page.Set.Next(len(page.Items), c.cfg.PageItems)
	}
	if len(all) > c.cfg.MaxItems {
		return all[:c.cfg.MaxItems:c.cfg.MaxItems], fmt.Errorf("%w: %d from %s", ErrTooMany, len(all), of)
	}
	return all, nil
}

func (c *Client) itemsPage(ctx context.Context, of jid.JID, node string, req *rsm.Set) (Items, error) {
	iq, err := c.out.Request(ctx, &stanza.IQ{Header: stanza.Header{To: of}, Type: stanza.IQGet, Payload: Items{Node: node, Set: req}})
	if err != nil {
		return Items{}, err
	}
	page, err := stanza.Decode[Items](iq.Payload)
	if err != nil {
		return Items{}, fmt.Errorf("disco: %w", err)
	}
	return page, nil
}

// wait waits until another one's question is answered.
func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package disco

import (
	"container/list"
	"strings"
	"sync"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xep/form"
)

// key names an answer: what an address said about a node of it, or what a hash stands for.
type key struct {
	jid  jid.JID
	hash string // its name, for answers that hold for everybody
	text string // the node, or the hash
}

// cache keeps the answers that were used last. An answer counts with all the memory it takes.
type cache struct {
	mu        sync.Mutex
	entries   map[key]*list.Element // of *entry
	order     list.List             // the one used last in front
	bytes     int
	maxBytes  int
	maxNumber int
}

type entry struct {
	key   key
	info  Info
	bytes int
	until time.Time // zero: for good
}

func newCache(number, bytes int) *cache {
	return &cache{entries: make(map[key]*list.Element), maxNumber: number, maxBytes: bytes}
}

func (c *cache) get(k key) (Info, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.entries[k]
	if el == nil {
		return Info{}, false
	}
	e := el.Value.(*entry)
	if !e.until.IsZero() && !time.Now().Before(e.until) {
		c.drop(el)
		return Info{}, false
	}
	c.order.MoveToFront(el)
	return e.info, true
}

func (c *cache) put(k key, info Info, bytes int, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(&entry{key: k, info: info, bytes: bytes, until: until})
}

// move makes what is kept under one key hold under another, for good.
func (c *cache) move(from, to key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.entries[from]
	if el == nil {
		return // so large, or so many others came, that it is gone already
	}
	e := el.Value.(*entry)
	c.drop(el)
	c.add(&entry{key: to, info: e.info, bytes: e.bytes})
}

func (c *cache) add(e *entry) {
	if old := c.entries[e.key]; old != nil {
		c.drop(old)
	}
	e.key.text, e.key.hash = strings.Clone(e.key.text), strings.Clone(e.key.hash) // they may be parts of a stanza
	e.bytes += len(e.key.text) + len(e.key.hash) + len(e.key.jid.String()) + entryBytes
	c.entries[e.key] = c.order.PushFront(e)
	c.bytes += e.bytes
	for len(c.entries) > c.maxNumber || c.bytes > c.maxBytes { // guard: SEC-65
		c.drop(c.order.Back())
	}
}

func (c *cache) drop(el *list.Element) {
	e := el.Value.(*entry)
	c.order.Remove(el)
	delete(c.entries, e.key)
	c.bytes -= e.bytes
}

// Roughly what things cost beside their text.
const (
	entryBytes = 400
	partBytes  = 72 // an identity or feature
	fieldBytes = 200
)

// own returns a copy of the answer that holds no memory but its own, in particular not that of the stanza it came in, and how
// many bytes that are.
func own(i Info) (Info, int) {
	size := partBytes * (len(i.Identities) + len(i.Features))
	var b strings.Builder
	texts(&i, func(s string) string {
		b.WriteString(s)
		return s
	})
	all := b.String()
	size += len(all)
	copied := Info{Identities: append([]Identity(nil), i.Identities...), Features: append([]string(nil), i.Features...), Node: i.Node}
	for _, f := range i.Forms {
		copied.Forms = append(copied.Forms, cloneForm(f, &size))
	}
	texts(&copied, func(s string) string {
		s, all = all[:len(s)], all[len(s):]
		return s
	})
	return copied, size
}

// texts replaces each text of the answer by what f returns for it, always in the same order.
func texts(i *Info, f func(string) string) {
	i.Node = f(i.Node)
	for n := range i.Identities {
		id := &i.Identities[n]
		id.Category, id.Type, id.Name, id.Lang = f(id.Category), f(id.Type), f(id.Name), f(id.Lang)
	}
	for n := range i.Features {
		i.Features[n] = f(i.Features[n])
	}
	for n := range i.Forms {
		formTexts(&i.Forms[n], f)
	}
}

func formTexts(x *form.Form, f func(string) string) {
	x.Type, x.Title = form.Type(f(string(x.Type))), f(x.Title)
	for n := range x.Instructions {
		x.Instructions[n] = f(x.Instructions[n])
	}
	fieldTexts(x.Fields, f)
	fieldTexts(x.Reported, f)
	for _, item := range x.Items {
		fieldTexts(item, f)
	}
}

func fieldTexts(fields form.Fields, f func(string) string) {
	for n := range fields {
		x := &fields[n]
		x.Var, x.Type, x.Label, x.Desc = f(x.Var), form.FieldType(f(string(x.Type))), f(x.Label), f(x.Desc)
		for m := range x.Values {
			x.Values[m] = f(x.Values[m])
		}
		for m := range x.Options {
			x.Options[m] = form.Option{Label: f(x.Options[m].Label), Value: f(x.Options[m].Value)}
		}
	}
}

func cloneForm(x form.Form, size *int) form.Form {
	x.Instructions = append([]string(nil), x.Instructions...)
	*size += fieldBytes + 16*len(x.Instructions)
	x.Fields, x.Reported = cloneFields(x.Fields, size), cloneFields(x.Reported, size)
	items := x.Items
	x.Items = nil
	for _, item := range items {
		x.Items = append(x.Items, cloneFields(item, size))
	}
	return x
}

func cloneFields(fields form.Fields, size *int) form.Fields {
	if fields == nil {
		return nil
	}
	out := make(form.Fields, 0, len(fields))
	for _, f := range fields {
		f.Values, f.Options = append([]string(nil), f.Values...), append([]form.Option(nil), f.Options...)
		*size += fieldBytes + 16*len(f.Values) + 32*len(f.Options)
		out = append(out, f)
	}
	return out
}

package sasl

import (
	"bytes"
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// DefaultCacheSize is how many salted passwords a [KeyCache] keeps unless told otherwise.
const DefaultCacheSize = 256

// KeyCache keeps salted passwords, so that signing in again costs a few hashes instead of thousands (RFC 5802 section 5.1). It is for
// many goroutines and many accounts. The nil cache keeps nothing.
//
// It never holds a password. What it holds serves to sign in with one mechanism at a server that has the same salt, and
// passwords can be guessed against it; so it belongs in memory only, and Wipe is for those who lock or log out.
type KeyCache struct {
	mu      sync.Mutex
	size    int
	secret  Secret // keys the names of the entries
	entries map[cacheKey]*list.Element
	recent  *list.List // of *cacheEntry, the latest in front
}

// cacheKey names the mechanism, salt, iterations and password of an entry; only who has them can make it.
type cacheKey [sha256.Size]byte

type cacheEntry struct {
	key    cacheKey
	salted []byte
}

// NewKeyCache returns a cache for a number of salted passwords; 0 means [DefaultCacheSize]. When it is full the one that was not
// used for longest goes.
func NewKeyCache(size int) *KeyCache {
	if size <= 0 {
		size = DefaultCacheSize
	}
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret) // never fails
	return &KeyCache{size: size, secret: NewSecret(string(secret)), entries: make(map[cacheKey]*list.Element), recent: list.New()}
}

func (c *KeyCache) key(hash, password string, salt []byte, rounds int) cacheKey {
	mac := hmac.New(sha256.New, []byte(c.secret.Reveal()))
	for _, part := range [][]byte{[]byte(hash), []byte(password), salt} {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write(part)
	}
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(rounds))) //nolint:gosec // between 1 and the policy's maximum
	return cacheKey(mac.Sum(nil))
}

// get returns a copy, or nil.
func (c *KeyCache) get(hash, password string, salt []byte, rounds int) []byte {
	if c == nil {
		return nil
	}
	key := c.key(hash, password, salt, rounds)
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.entries[key]
	if !ok {
		return nil
	}
	c.recent.MoveToFront(at)
	return bytes.Clone(at.Value.(*cacheEntry).salted)
}

func (c *KeyCache) put(hash, password string, salt []byte, rounds int, salted []byte) {
	if c == nil {
		return
	}
	key := c.key(hash, password, salt, rounds)
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.entries[key]; ok {
		c.recent.MoveToFront(at)
		return
	}
	c.entries[key] = c.recent.PushFront(&cacheEntry{key, bytes.Clone(salted)})
	if c.recent.Len() > c.size { // guard: SEC-46 (cache)
		c.drop(c.recent.Back())
	}
}

func (c *KeyCache) drop(at *list.Element) {
	e := c.recent.Remove(at).(*cacheEntry)
	clear(e.salted)
	delete(c.entries, e.key)
}

// Wipe overwrites and forgets everything.
func (c *KeyCache) Wipe() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for at := c.recent.Front(); at != nil; at = c.recent.Front() {
		c.drop(at)
	}
}

// Len returns how many salted passwords there are.
func (c *KeyCache) Len() int {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recent.Len()
}

func (c *KeyCache) String() string { return fmt.Sprintf("sasl.KeyCache(%d entries)", c.Len()) }

// GoString does the same for %#v.
func (c *KeyCache) GoString() string { return c.String() }

// LogValue does the same for slog.
func (c *KeyCache) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Format does the same for every verb.
func (c *KeyCache) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.String()) }

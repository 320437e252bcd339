package sasl

import (
	"bytes"
	"fmt"
	"hash"
	"strings"
	"sync"
	"testing"
)

// TestSEC46_Cache hashes a password once for a salt, and not again until something of it is another.
func TestSEC46_Cache(t *testing.T) {
	cache := NewKeyCache(0)
	hashed := func(password, server string) int {
		v := vectors[0]
		v.password, v.server1 = password, server
		c := v.client(t)
		c.cache = cache
		n, make := 0, c.hash.new
		c.hash.new = func() hash.Hash { n++; return make() }
		one := step(t)(c.Start())
		s := v.server(t)
		if _, _, err := s.Start(one); err != nil {
			t.Fatal(err)
		}
		first, _ := parseServerFirst(v.mechanism, []byte(server))
		rounds, _ := checkIterations(first.iterations, Policy{}.limits())
		keys, err := NewStoredKeys(t.Context(), v.mechanism, NewSecret(password), first.salt, rounds)
		if err != nil {
			t.Fatal(err)
		}
		if got := step(t)(s.Challenge(keys)); string(got) != server {
			t.Fatalf("%s, want %s", got, server)
		}
		before := cache.Len()
		final := step(t)(c.Next(t.Context(), []byte(server)))
		if cache.Len() != before {
			t.Error("kept before the server was proven")
		}
		if err := c.Done(step(t)(s.Finish(final))); err != nil {
			t.Fatal(err)
		}
		return n
	}
	full := hashed("pencil", rfc5802Server)
	if cached := hashed("pencil", rfc5802Server); cached >= full || cache.Len() != 1 {
		t.Errorf("%d hashes at first, then %d, with %v", full, cached, cache)
	}
	for name, again := range map[string]int{
		"password":   hashed("pencils", rfc5802Server),
		"salt":       hashed("pencil", strings.Replace(rfc5802Server, "QSXCR", "QSXCS", 1)),
		"iterations": hashed("pencil", strings.Replace(rfc5802Server, "4096", "4097", 1)),
	} {
		if again != full {
			t.Errorf("another %s: %d hashes", name, again)
		}
	}
	if cache.Len() != 4 {
		t.Error(cache)
	}
	cache.Wipe()
	if again := hashed("pencil", rfc5802Server); again != full || cache.Len() != 1 {
		t.Errorf("%d hashes after all was forgotten", again)
	}
}

// TestSEC46_CacheIsBounded keeps what was used last, and overwrites what goes.
func TestSEC46_CacheIsBounded(t *testing.T) {
	cache := NewKeyCache(3)
	put := func(i int) { cache.put("SHA-1", fmt.Sprint(i), []byte("salt"), 4096, []byte{byte(i), 1}) }
	get := func(i int) []byte { return cache.get("SHA-1", fmt.Sprint(i), []byte("salt"), 4096) }
	for i := range 3 {
		put(i)
	}
	get(0)
	held := cache.recent.Back().Value.(*cacheEntry).salted // of 1, which is the next to go
	put(3)
	if cache.Len() != 3 || len(cache.entries) != 3 || get(1) != nil || get(0) == nil || get(3) == nil {
		t.Error("not the three that were used last")
	}
	if !bytes.Equal(held, []byte{0, 0}) {
		t.Errorf("what went is still there: %v", held)
	}
	mine := get(0)
	clear(mine)
	if !bytes.Equal(get(0), []byte{0, 1}) {
		t.Error("the cache shares its memory")
	}
	for i := range 10000 {
		put(i)
	}
	if cache.Len() != 3 || len(cache.entries) != 3 {
		t.Error(cache)
	}
	for _, part := range [][4]string{{"SHA-256", "0", "salt", ""}, {"SHA-1", "0s", "alt", ""}, {"SHA-10", "", "salt", ""}} {
		if cache.get(part[0], part[1], []byte(part[2]), 4096) != nil {
			t.Errorf("%q is found", part)
		}
	}
	held = cache.recent.Front().Value.(*cacheEntry).salted
	cache.Wipe()
	if cache.Len() != 0 || !bytes.Equal(held, []byte{0, 0}) {
		t.Error(cache, held)
	}
}

// TestCacheForManyAtOnce is for the race detector.
func TestCacheForManyAtOnce(t *testing.T) {
	cache := NewKeyCache(8)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 200 {
				password := fmt.Sprint((i + n) % 12)
				if b := cache.get("SHA-1", password, nil, 1); b != nil && string(b) != password {
					t.Errorf("%q is kept for %q", b, password)
				}
				cache.put("SHA-1", password, nil, 1, []byte(password))
				if n == 100 {
					cache.Wipe()
				}
			}
		})
	}
	all.Wait()
	var none *KeyCache
	none.put("SHA-1", "p", nil, 1, []byte("x"))
	none.Wipe()
	if none.Len() != 0 || none.get("SHA-1", "p", nil, 1) != nil {
		t.Error("no cache keeps something")
	}
}

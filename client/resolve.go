package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Resolver answers questions for SRV records. A *net.Resolver is one.
type Resolver interface {
	// LookupSRV returns the records of _service._proto.name. No such name is a *net.DNSError with IsNotFound.
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, records []*net.SRV, err error)
}

// maxTargets bounds how many servers are tried in one go.
const maxTargets = 16

// defaultPort is where a server takes clients that no SRV record has told of (RFC 6120 section 3.2.2).
const defaultPort = "5222"

// target is one address at which a server may be.
type target struct {
	host, port string
	direct     bool   // TLS from the first byte on
	url        string // of the WebSocket there; "" where it is TCP
}

func (t target) addr() string { return net.JoinHostPort(t.host, t.port) }

// parseTarget reads host:port.
func parseTarget(addr string, direct bool) (target, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return target{}, fmt.Errorf("client: address %q: %w", addr, err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return target{}, fmt.Errorf("client: address %q is not host:port", addr)
	}
	return target{host: host, port: port, direct: direct}, nil
}

// parseRedirect reads where see-other-host sends us (RFC 6120 section 4.9.3.19): a host or address, with a port or without.
func parseRedirect(to string) (target, error) {
	if ip, err := netip.ParseAddr(strings.Trim(to, "[]")); err == nil {
		return target{host: ip.String(), port: defaultPort}, nil
	}
	if !strings.Contains(to, ":") {
		to = net.JoinHostPort(to, defaultPort)
	}
	return parseTarget(to, false)
}

// targets returns where the server of a domain may be, in the order in which to try (RFC 6120 section 3.2, XEP-0368 section 3).
func targets(ctx context.Context, r Resolver, domain string) ([]target, error) {
	fallback := []target{{host: domain, port: defaultPort}}
	if _, err := netip.ParseAddr(domain); err == nil {
		return fallback, nil
	}
	type answer struct{ records []*net.SRV }
	ask := func(service string) <-chan answer {
		done := make(chan answer, 1)
		go func() {
			_, records, _ := r.LookupSRV(ctx, service, "tcp", domain) // a failure is like no record: see below
			done <- answer{records}
		}()
		return done
	}
	secure, plain := ask("xmpps-client"), ask("xmpp-client")
	answers := map[bool]answer{true: <-secure, false: <-plain}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("SRV records of %s: %w", domain, err)
	}
	var all []srv
	denied := false
	for direct, a := range answers {
		for _, rec := range a.records {
			if host := strings.TrimSuffix(rec.Target, "."); host == "" { // decidedly not here (RFC 2782)
				denied = true
			} else {
				all = append(all, srv{target{host: host, port: strconv.Itoa(int(rec.Port)), direct: direct}, rec.Priority, int(rec.Weight)})
			}
		}
	}
	switch {
	case len(all) > 0:
		sorted := order(all)
		return sorted[:min(len(sorted), maxTargets)], nil
	case denied:
		return nil, fmt.Errorf("%w: %s", ErrNoService, domain)
	}
	return fallback, nil // also where DNS failed: the certificate decides, not DNS
}

// srv is a record of DNS.
type srv struct {
	target
	priority uint16
	weight   int
}

// order returns the targets by priority, those of one priority at random by their weights (RFC 2782).
func order(all []srv) []target {
	slices.SortStableFunc(all, func(a, b srv) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.weight, b.weight), // those of weight 0 first
			strings.Compare(a.addr(), b.addr()))
	})
	var sorted []target
	for len(all) > 0 {
		n, sum := 0, 0
		for n < len(all) && all[n].priority == all[0].priority {
			sum += all[n].weight
			n++
		}
		i := pick(all[:n], random(sum))
		sorted = append(sorted, all[i].target)
		all = slices.Delete(all, i, i+1)
	}
	return sorted
}

// pick returns the first record at which the running sum of the weights reaches at.
func pick(all []srv, at int) int {
	for i, s := range all {
		if at -= s.weight; at <= 0 {
			return i
		}
	}
	return len(all) - 1
}

// random returns a number from 0 to n.
func random(n int) int {
	r, err := rand.Int(rand.Reader, big.NewInt(int64(n)+1))
	if err != nil {
		return 0
	}
	return int(r.Int64())
}

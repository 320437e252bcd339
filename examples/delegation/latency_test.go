//go:build integration

package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-im/postern/internal/programtest"
	"github.com/postern-im/postern/internal/proxytest"
	"github.com/postern-im/postern/servertest"
	"github.com/postern-im/postern/xep/private"
	"github.com/postern-im/postern/xmpptest"
)

// TestFLT08_DatabaseBehindLatency floods the cabinet while its database is far away: each request is answered, be it by "try again", another
// account is served meanwhile, and the program's memory stays within its bounds.
func TestFLT08_DatabaseBehindLatency(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	const delay, lane = 50 * time.Millisecond, 50
	const requests, size, most = 2000, 16 << 10, 24 << 20 // less than the requests have in all
	db := servertest.Postgres(t)
	far := proxytest.Proxy{Delay: delay}.Start(t, db.Addr)
	s := xmpptest.NewServer(t, xmpptest.LikeProsody(), xmpptest.WithDelegation(private.NS), xmpptest.WithUser("romeo", "r"), xmpptest.WithUser("juliet", "j"))
	p := programtest.Start(t, []string{
		"POSTERN_COMPONENT_ADDRESS=" + s.Addr, "POSTERN_COMPONENT_DOMAIN=" + s.Domain, "POSTERN_COMPONENT_SECRET=" + s.Secret,
		"POSTERN_DATABASE_URL=" + strings.Replace(db.URL, db.Addr, far, 1), "POSTERN_ADMIN_LISTEN=off", "POSTERN_ROUTER_LANE_SIZE=" + strconv.Itoa(lane),
	}, "run")
	p.Await("delegated to us")
	romeo, juliet := s.User(t, "romeo", "r"), s.User(t, "juliet", "j")
	opened := "<iq type='get'>" + query("<a xmlns='urn:a'/>") + "</iq>"
	until(t, func() string { return romeo.Ask(opened).String() }, forwarded)
	before := peak(t, p)
	written := make(chan struct{})
	go func() {
		defer close(written)
		filling := strings.Repeat("x", size)
		for i := range requests {
			romeo.Send(fmt.Sprintf("<iq id='%d' type='get'>%s</iq>", i, query("<a xmlns='urn:a'>"+filling+"</a>")))
		}
	}()
	answered := make(map[string]bool)
	results := 0
	for range requests {
		got := romeo.Next()
		switch {
		case got.Attr("type") == "result":
			results++
		case !strings.Contains(got.String(), "type='wait'"):
			t.Errorf("answered %s", got)
		}
		answered[got.Attr("id")] = true
		if len(answered) == requests/2 {
			if got := juliet.Ask(opened); got.Attr("type") != "result" {
				t.Errorf("another account is answered %s", got)
			}
		}
	}
	<-written
	if len(answered) != requests || results < lane/2 {
		t.Errorf("%d requests are answered, %d of them by a result", len(answered), results)
	}
	grown := peak(t, p) - before
	if grown > most && !programtest.Race {
		t.Errorf("memory has grown by %d KiB", grown>>10)
	}
	t.Logf("%d requests of %d KiB, %d by a result; memory has grown by %d KiB from %d KiB", requests, size>>10, results, grown>>10, before>>10)
}

// peak returns the most memory that the program has had.
func peak(t *testing.T, p *programtest.Program) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

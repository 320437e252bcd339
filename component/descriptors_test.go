//go:build unix

package component_test

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/xmpptest"
)

// TestFLT38_NoDescriptors takes all file descriptors away while a component reconnects. It says so, tries on, and is back when there
// are some again.
func TestFLT38_NoDescriptors(t *testing.T) {
	s := xmpptest.NewServer(t)
	cfg := component.Config{
		Domain: jid.MustParse(s.Domain), Secret: component.Secret(s.Secret), Addr: s.Addr,
		Backoff: component.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond},
	}
	c := serve(t, cfg, newRecorder(nil)).online()

	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 3 // no new descriptor can be had; those that are open stay
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}
	defer restore()
	if f, err := os.Open(os.DevNull); !errors.Is(err, syscall.EMFILE) {
		if err == nil {
			_ = f.Close()
		}
		t.Fatalf("descriptors are still to be had: %v", err)
	}
	s.Component(s.Domain).Drop()
	_, n := c.await(0, "out of descriptors", func(s component.State) bool { return errors.Is(s.Cause, syscall.EMFILE) })
	restore()
	c.await(n, "online again", phase(component.PhaseOnline))
}

package xmlstream_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/internal/xmlstream"
)

// written has a Writer with a write timeout of 30 s send 64 messages of 1 KiB to a peer that takes what it takes in its own time. It
// returns what the session ended with, or nil when all was written, and when.
func written(t *testing.T, ours net.Conn, fence func() error) (took time.Duration, err error) {
	t.Helper()
	w := xmlstream.NewWriter(xmlstream.WriterConfig{Fence: fence})
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- w.Run(ctx, ours, func() { close(ready) }) }()
	<-ready
	start := time.Now()
	w.Cork()
	m := msg("1", strings.Repeat("x", 1<<10))
	for range 64 {
		if err := w.Send(ctx, m, &m.Header); err != nil {
			break // of that the session has ended Run tells
		}
	}
	w.Uncork()
	failed := w.FlushAll(ctx)
	took = time.Since(start)
	cancel()
	if err = <-done; err == nil {
		err = failed
	}
	return took, err
}

// take reads from a connection 8 KiB every 9 seconds, this many times, and then nothing any more; it returns what it read.
func take(t *testing.T, conn net.Conn, times int) <-chan []byte {
	t.Helper()
	all := make(chan []byte, 1)
	go func() {
		var got bytes.Buffer
		for range times {
			if _, err := io.CopyN(&got, conn, 8<<10); err != nil {
				break
			}
			<-time.After(9 * time.Second)
		}
		all <- got.Bytes()
	}()
	return all
}

func TestFLT12_ASlowPeerIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		all := take(t, theirs, 1<<10)
		took, err := written(t, ours, nil)
		if err != nil || took < time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
		_ = ours.Close()
		want := strings.Replace(xml("1"), "<body/>", "<body>"+strings.Repeat("x", 1<<10)+"</body>", 1)
		if got := string(<-all); got != strings.Repeat(want, 64) {
			t.Errorf("%d bytes arrived: %.80s...", len(got), got)
		}
	})
}

// TestFLT39_ASlowWriteIsFenced takes the right to write away while a batch is on its way to a slow peer.
func TestFLT39_ASlowWriteIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		all := take(t, theirs, 1<<10)
		start := time.Now()
		_, err := written(t, ours, func() error {
			if time.Since(start) > 20*time.Second {
				return os.ErrDeadlineExceeded // as of a lease: no reason to try again
			}
			return nil
		})
		_ = ours.Close()
		if got := <-all; !errors.Is(err, xmlstream.ErrFenced) || len(got) > 32<<10 {
			t.Errorf("%d bytes arrived; %v", len(got), err)
		}
	})
}

func TestFLT12_APeerThatTakesNothingIsCut(t *testing.T) {
	for name, tc := range map[string]struct {
		times       int // 8 KiB taken, one after each 9 s
		least, most time.Duration
	}{
		"from the start": {0, 30 * time.Second, 30 * time.Second},
		"after a while":  {3, 48 * time.Second, 56 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				all := take(t, theirs, tc.times)
				took, err := written(t, ours, nil)
				if !errors.Is(err, os.ErrDeadlineExceeded) || took < tc.least || took > tc.most {
					t.Errorf("after %v: %v", took, err)
				}
				_ = ours.Close()
				<-all
			})
		})
	}
}

// TestFLT12_EncryptedPeers does the same on TLS, where a write that has timed out cannot be gone on with.
func TestFLT12_EncryptedPeers(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, public, private)
	if err != nil {
		t.Fatal(err)
	}
	server := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: private}}, MinVersion: tls.VersionTLS13}
	client := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13} // both ends are ours
	for name, times := range map[string]int{"slow": 1 << 10, "takes nothing": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				ours, theirs := tls.Client(a, client), tls.Server(b, server)
				greeted := make(chan error, 1)
				go func() { greeted <- theirs.Handshake() }()
				if err := errors.Join(ours.Handshake(), <-greeted); err != nil {
					t.Fatal(err)
				}
				all := take(t, theirs, times)
				took, err := written(t, ours, nil)
				if times > 0 && (err != nil || took <= 30*time.Second) || times == 0 && (!errors.Is(err, os.ErrDeadlineExceeded) || took != 30*time.Second) {
					t.Errorf("after %v: %v", took, err)
				}
				_ = a.Close()
				<-all
			})
		})
	}
}

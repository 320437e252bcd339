package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/storage/sqlite"
)

// childVariable makes this test binary a writer: see TestMain's child.
const childVariable = "POSTERN_SQLITE_TEST_CHILD"

func numbered(i int) storage.Account {
	return storage.Account{User: jid.MustParse(fmt.Sprintf("u%d@example.org", i)), Data: make([]byte, 8<<10)}
}

// put writes accounts, two to a transaction, from a number on until one fails or all are written.
func put(s *sqlite.Store, from, count int, acked func(int)) error {
	for i := from; i < from+count; i++ {
		if err := s.InTx(context.Background(), func(ctx context.Context) error {
			if err := s.PutAccount(ctx, numbered(2*i)); err != nil {
				return err
			}
			return s.PutAccount(ctx, numbered(2*i+1))
		}); err != nil {
			return err
		}
		acked(i)
	}
	return nil
}

// TestChild is no test by itself: the tests below run it as a process that may be killed or starved.
func TestChild(t *testing.T) {
	mode, path, _ := strings.Cut(os.Getenv(childVariable), ":")
	if mode == "" {
		return
	}
	s := open(t, path)
	ack := func(i int) { fmt.Println("acked", i) }
	if mode == "killed" {
		t.Fatal(put(s, 0, 1<<30, ack))
	}
	// Files may not grow beyond a size; the signal that says so is ignored, so that it is an error of the write.
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	small := limit
	small.Cur = 300 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := put(s, 0, 1000, func(i int) { n = i + 1; ack(i) })
	if !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), path) {
		t.Fatalf("a write without room: %v", err)
	}
	if _, err := s.Account(t.Context(), numbered(0).User); err != nil {
		t.Errorf("a read without room: %v", err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping without room: %v", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := put(s, n, 10, ack); err != nil {
		t.Errorf("a write with room again: %v", err)
	}
}

// run runs the child until it ends, or until it has written enough and is killed, and then holds the database to what it said.
func run(t *testing.T, mode string, kill int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gateway.db")
	child := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.timeout=60s")
	child.Env = append(os.Environ(), childVariable+"="+mode+":"+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acked, said := -1, ""
	for scan := bufio.NewScanner(out); scan.Scan(); {
		if n, found := strings.CutPrefix(scan.Text(), "acked "); found {
			if acked, err = strconv.Atoi(n); err != nil {
				t.Fatal(err)
			}
		} else {
			said += scan.Text() + "\n"
		}
		if kill > 0 && acked >= kill {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err != nil && kill == 0 {
		t.Fatalf("the child: %v\n%s", err, said)
	}
	if acked < 5 {
		t.Fatalf("the child wrote %d times\n%s", acked+1, said)
	}
	s := open(t, path)
	n := 0
	for a, err := range s.EachAccount(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Data) != len(numbered(0).Data) {
			t.Errorf("%v has %d bytes", a.User, len(a.Data))
		}
		n++
	}
	// Everything that was acknowledged is there, no transaction in half, and at most the one that was under way besides.
	if n%2 != 0 || n < 2*(acked+1) || n > 2*(acked+2) || kill == 0 && n != 2*(acked+1) {
		t.Errorf("%d accounts are there; %d pairs were acknowledged", n, acked+1)
	}
	var check string
	if err := s.Querier(t.Context()).QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
		t.Errorf("integrity_check: %s, %v", check, err)
	}
}

func TestKilledWriterLosesNothingAcknowledged(t *testing.T) { run(t, "killed", 8) }

func TestFLT18_DiskFull(t *testing.T) {
	t.Run("file size limit", func(t *testing.T) { run(t, "full", 0) })
	t.Run("full database", func(t *testing.T) {
		s := open(t, filepath.Join(t.TempDir(), "gateway.db"))
		limit := func(pages int) {
			t.Helper()
			var now int
			stmt := fmt.Sprintf("PRAGMA max_page_count = %d", pages)
			if err := s.Querier(t.Context()).QueryRowContext(t.Context(), stmt).Scan(&now); err != nil {
				t.Fatal(err)
			}
		}
		limit(100)
		n := 0
		err := put(s, 0, 1000, func(i int) { n = i + 1 })
		if !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), "disk is full") || storage.Uncertain(err) || n == 0 {
			t.Fatalf("after %d writes: %v", n, err)
		}
		if _, err := s.Account(t.Context(), numbered(2*n).User); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("half a transaction is there: %v", err)
		}
		limit(10_000)
		if err := put(s, n, 10, func(int) {}); err != nil {
			t.Errorf("with room again: %v", err)
		}
	})
}

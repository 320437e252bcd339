package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// finish closes the logger and waits until all is written, which may take longer than Close is ready to wait where the machine is busy.
func finish(t *testing.T, l *Logger) {
	t.Helper()
	if err := l.Close(); err != nil && !errors.Is(err, errStuck) {
		t.Fatal(err)
	}
	<-l.out.done
}

// lines logs with a new logger and returns what it wrote.
func lines(t *testing.T, cfg Config, f func(*Logger)) []string {
	t.Helper()
	var b bytes.Buffer
	cfg.Output = &b
	l := New(cfg)
	f(l)
	finish(t, l)
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

type loud struct{ text string }

func (l loud) String() string { return l.text }

func TestSEC67_RemoteTextIsOneFieldOfOneLine(t *testing.T) {
	for name, text := range map[string]string{
		"a line of its own":    "x\"\n[ERROR] root logged in",
		"a carriage return":    "x\r{\"level\":\"error\"}",
		"terminal escapes":     "x\x1b[2J\x1b]0;title\x07",
		"C1 escapes":           "x\u009b2J",
		"turned direction":     "x\u202egpj.exe",
		"zero width":           "x\u200b\u2060y",
		"line separator":       "x\u2028y",
		"invalid UTF-8":        "x\xff\xfe",
		"a megabyte":           "x" + strings.Repeat("é", 1<<19),
		"cut inside character": strings.Repeat("x", maxText-1) + "é",
	} {
		t.Run(name, func(t *testing.T) {
			for _, field := range []zapcore.Field{
				zap.String("nick", text), zap.ByteString("nick", []byte(text)), zap.Stringer("nick", loud{text}),
				zap.NamedError("nick", errors.New(text)),
			} {
				for _, console := range []bool{false, true} {
					got := lines(t, Config{Console: console}, func(l *Logger) {
						l.Info("seen", field)
						l.With(field).Info("seen")
					})
					if len(got) != 2 {
						t.Fatalf("console %v: %d lines: %q", console, len(got), got)
					}
					for _, line := range got {
						if len(line) > 10*maxText {
							t.Errorf("console %v: a line of %d bytes", console, len(line))
						}
						if strings.ContainsFunc(line, func(r rune) bool {
							return hidden(r) || r == '\r' || r == utf8.RuneError && !strings.Contains(name, "UTF-8")
						}) {
							t.Errorf("console %v: %q", console, line)
						}
						if !console && !json.Valid([]byte(line)) {
							t.Errorf("not JSON: %s", line)
						}
					}
				}
			}
		})
	}
}

func TestLongFieldsAndMessages(t *testing.T) {
	text := strings.Repeat("x", 2*maxText)
	for key, whole := range map[string]bool{"stack": true, "xml": true, "nick": false} {
		got := lines(t, Config{}, func(l *Logger) { l.Info("m", zap.String(key, text)) })
		if strings.Contains(got[0], text) != whole {
			t.Errorf("%s: whole %v: %s", key, !whole, got[0])
		}
	}
	got := lines(t, Config{Console: true}, func(l *Logger) { l.Info("a\nb" + text) })
	if len(got) != 1 || !strings.Contains(got[0], "bytes more") {
		t.Errorf("%q", got)
	}
}

func TestLevels(t *testing.T) {
	got := lines(t, Config{Level: zapcore.WarnLevel}, func(l *Logger) {
		l.Info("no")
		l.SetLevel(zapcore.DebugLevel)
		l.Named("x").Debug("yes", zap.Error(nil), zap.Stringer("nothing", (*loudPointer)(nil)))
	})
	if len(got) != 1 || !strings.Contains(got[0], "yes") || !strings.Contains(got[0], `"logger":"x"`) {
		t.Errorf("%q", got)
	}
}

type loudPointer struct{ text string }

func (l *loudPointer) String() string { return l.text }

func TestFLT19_FullDevice(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full here")
	}
	defer func() { _ = f.Close() }()
	l := New(Config{Output: f})
	for range 10 {
		l.Info("into the void")
	}
	finish(t, l)
	if l.Dropped() != 10 {
		t.Errorf("%d lines dropped, want 10", l.Dropped())
	}
}

// stuck is an output that takes nothing until it is released.
type stuck struct {
	release chan struct{}
	mu      sync.Mutex
	bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.release
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.Write(p)
}

func TestFLT19_StuckOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stuck{release: make(chan struct{})}
		l := New(Config{Output: s, Level: zapcore.DebugLevel})
		text := strings.Repeat("x", maxText)
		var fields []zap.Field
		for i := range 15 {
			fields = append(fields, zap.String(strconv.Itoa(i), text))
		}
		const n = 3 * maxWaiting / (16 * maxText)
		for range n { // would never return if it blocked
			l.Debug(text, fields...) // of which no number is too many by itself
		}
		l.out.mu.Lock()
		waiting := len(l.out.waiting)
		l.out.mu.Unlock()
		if waiting > maxWaiting {
			t.Errorf("%d bytes wait", waiting)
		}
		if d := l.Dropped(); d == 0 || d >= n {
			t.Errorf("%d of %d lines dropped", d, n)
		}
		if err := l.Close(); !errors.Is(err, errStuck) { // after a second of the test's own clock
			t.Errorf("Close: %v", err)
		}
		close(s.release)
		synctest.Wait()
		if kept := uint64(strings.Count(s.String(), "\n")); kept+l.Dropped() != n {
			t.Errorf("%d lines written and %d dropped of %d", kept, l.Dropped(), n)
		}
		l.Info("after the end")
		if strings.Contains(s.String(), "after the end") {
			t.Error("a line was written after Close")
		}
	})
}

// TestLinesStayWhole logs from many goroutines, with pauses in which the output has nothing to do, and looks at each line.
func TestLinesStayWhole(t *testing.T) {
	var b bytes.Buffer
	l := New(Config{Level: zapcore.DebugLevel, Output: &b})
	var all sync.WaitGroup
	const goroutines, each = 8, 500
	for g := range goroutines {
		all.Go(func() {
			for n := range each {
				l.Debug("line", zap.Int("g", g), zap.Int("n", n))
				if n%10 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	all.Wait()
	finish(t, l)
	seen := make(map[[2]int]bool)
	for line := range strings.Lines(b.String()) {
		var e struct{ G, N int }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		seen[[2]int{e.G, e.N}] = true
	}
	if len(seen) != goroutines*each {
		t.Errorf("%d different lines of %d", len(seen), goroutines*each)
	}
}

func TestSEC67_WhatIsSaidTooOftenIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dropped uint64
		got := lines(t, Config{Level: zapcore.DebugLevel}, func(l *Logger) {
			child := l.With(zap.String("a", "b"))
			for i := range 1000 {
				l.Info("often", zap.Int("i", i))
				child.Debug("wire")
			}
			l.Warn("rare")
			dropped = l.Dropped()
			<-time.After(time.Minute)
			child.Info("often")
		})
		count := make(map[string]int)
		for _, line := range got {
			var v struct{ Msg string }
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			count[v.Msg]++
		}
		if count["often"] != perMinute+1 || count["wire"] != 1000 || count["rare"] != 1 || dropped != 1000-perMinute {
			t.Errorf("written %v, left out %d", count, dropped)
		}
	})
}

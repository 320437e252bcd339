package streammgmt

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// fates notes what becomes of stanzas, in order.
type fates []Fate

func (f *fates) Became(to Fate) { *f = append(*f, to) }

func filled(n int) *Queue {
	q := NewQueue(Limits{Stanzas: 1000, Bytes: 1 << 20})
	for i := range n {
		q.Add([]byte{byte('a' + i)}, nil)
	}
	return q
}

func TestSEC55_Modulo(t *testing.T) {
	q := filled(3)
	q.h = math.MaxUint32 - 1
	q.Hand()
	for _, c := range []struct {
		h    uint32
		left int
	}{{math.MaxUint32, 2}, {math.MaxUint32, 2}, {0, 1}, {math.MaxUint32, 1}, {1, 0}} {
		if _, err := q.Ack(c.h); err != nil || q.Len() != c.left {
			t.Fatalf("h %d: %d left, %v", c.h, q.Len(), err)
		}
	}
	var high *TooHighError
	if _, err := q.Ack(2); !errors.As(err, &high) || *high != (TooHighError{2, 1}) {
		t.Errorf("got %v", err)
	}
}

// TestSEC55_OnlySent: what was not handed to the present connection cannot have been handled.
func TestSEC55_OnlySent(t *testing.T) {
	q := filled(2)
	if _, err := q.Ack(1); err == nil {
		t.Error("acknowledged before it was sent")
	}
	q.Hand()
	if _, err := q.Ack(1); err != nil {
		t.Error(err)
	}
	if again := q.Rewind([]byte("x")); string(again) != "xb" {
		t.Errorf("to be sent again: %q", again)
	}
	if _, err := q.Ack(2); err == nil {
		t.Error("acknowledged before it was sent again")
	}
}

func TestSEC55_Bounds(t *testing.T) {
	q := NewQueue(Limits{Stanzas: 2, Bytes: 100})
	q.Add(nil, nil)
	if q.Full() {
		t.Error("full with one")
	}
	q.Add(nil, nil)
	if !q.Full() {
		t.Error("not full with two")
	}
	q.Hand()
	if _, err := q.Ack(1); err != nil || q.Full() {
		t.Errorf("full with one: %v", err)
	}
	q.Add(make([]byte, 100), nil)
	if q = NewQueue(Limits{Stanzas: 2, Bytes: 100}); q.Full() {
		t.Error("full with none")
	}
	q.Add(make([]byte, 100), nil)
	if !q.Full() {
		t.Error("not full with 100 bytes")
	}
}

func TestS5_Questions(t *testing.T) {
	q := filled(1)
	ask := func(h uint32, want bool) {
		t.Helper()
		if got, err := q.Ack(h); got != want || err != nil {
			t.Errorf("after %d: %v %v", h, got, err)
		}
	}
	if !q.Hand() {
		t.Error("not asked about the first")
	}
	q.Add(nil, nil)
	if q.Hand() {
		t.Error("asked while a question is under way")
	}
	ask(1, true)  // since the second came after the question
	ask(1, false) // which is answered by now, and nothing is new
	q.Add(nil, nil)
	if !q.Hand() {
		t.Error("not asked about the third")
	}
	ask(2, true)
	ask(3, false)
	if q.Hand() {
		t.Error("asked about nothing")
	}
}

func TestFLT35_Fates(t *testing.T) {
	var all [4]fates
	q := NewQueue(Limits{Stanzas: 10, Bytes: 10})
	for i := range all[:3] {
		q.Add(nil, &all[i])
	}
	q.Hand()
	_, _ = q.Ack(1)
	q.Rewind(nil)
	q.Add(nil, &all[3])
	if uncertain, unsent := q.Close(); uncertain != 2 || unsent != 1 {
		t.Errorf("%d uncertain, %d unsent", uncertain, unsent)
	}
	for i, want := range []fates{{Sent, Acknowledged}, {Sent, Uncertain}, {Sent, Uncertain}, {Unsent}} {
		if !slices.Equal(all[i], want) {
			t.Errorf("%d: %v", i, all[i])
		}
	}
	if q.Len() != 0 || q.h != 0 || q.Full() {
		t.Errorf("%+v", q)
	}
}

// TestSEC55_Memory: a queue that is never empty does not grow, and an empty one gives large memory back.
func TestSEC55_Memory(t *testing.T) {
	q := filled(1)
	for i := range uint32(100_000) {
		q.Add([]byte("0123456789"), nil)
		q.Hand()
		if _, err := q.Ack(i + 1); err != nil {
			t.Fatal(err)
		}
	}
	if e, d := cap(q.entries.all), cap(q.data.all); e > 16 || d > 160 {
		t.Errorf("room for %d stanzas and %d bytes", e, d)
	}
	q.Add(make([]byte, 1<<20), nil)
	q.Hand()
	if _, err := q.Ack(100_002); err != nil || q.data.all != nil {
		t.Errorf("%v, %d bytes are kept", err, cap(q.data.all))
	}
}

func TestParseCount(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "007": 7, " 1\n": 1, "4294967295": math.MaxUint32, "4294967296": -1, "": -1, "-1": -1, "+1": -1, "1.0": -1, "0x1": -1, "x": -1,
	} {
		got, ok := ParseCount(s)
		if ok != (want >= 0) || ok && int64(got) != want {
			t.Errorf("%q: %d %v", s, got, ok)
		}
	}
}

// FuzzQueue holds a queue against the plainest one there is, whatever a peer says and wherever its count begins.
func FuzzQueue(f *testing.F) {
	f.Add(uint32(0), []byte("aahk0"))
	f.Add(uint32(math.MaxUint32), []byte("aaahkk01raa"))
	f.Fuzz(func(t *testing.T, start uint32, ops []byte) {
		q := NewQueue(Limits{Stanzas: 8, Bytes: 20})
		q.h = start
		var model [][]byte
		sent, h := 0, start
		random := rand.New(rand.NewPCG(uint64(start), 1))
		for _, op := range ops {
			switch op {
			case 'a':
				full := len(model) >= 8 || len(bytes.Join(model, nil)) >= 20
				if q.Full() != full {
					t.Fatalf("full: %v", q.Full())
				}
				if full {
					continue
				}
				xml := []byte(strconv.Itoa(random.IntN(1000)))
				model = append(model, xml)
				q.Add(xml, nil)
			case 'h':
				q.Hand()
				sent = len(model)
			case 'r':
				if got := q.Rewind(nil); !bytes.Equal(got, bytes.Join(model, nil)) {
					t.Fatalf("%q again, not %q", got, model)
				}
				sent = 0
			default: // an acknowledgement of up to some more or less
				n := int(int8(op))
				_, err := q.Ack(h + uint32(n))
				if (err != nil) != (n > sent) {
					t.Fatalf("%d of %d acknowledged: %v", n, sent, err)
				}
				if n > 0 && n <= sent {
					model, sent, h = model[n:], sent-n, h+uint32(n)
				}
			}
			if q.Len() != len(model) {
				t.Fatalf("%d left, not %d", q.Len(), len(model))
			}
		}
	})
}

package router

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// The queues against a model: stanzas of a lane leave in order and one at a time, senders take turns, and nothing is left
// behind when all is handled.
func TestQueuesAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		q := &queues{senders: make(map[string]*sender), perSender: 1 + rnd.IntN(4), trusted: map[string]bool{"s0": true}}
		model := make(map[[2]string][]*turn) // waiting turns
		active := make(map[*turn][2]string)
		busy := make(map[[2]string]bool)
		perSender := make(map[string]int)
		for step := range 3000 {
			growing := step < 1500
			switch n := rnd.IntN(10); {
			case n < 4 && growing:
				key := [2]string{fmt.Sprint("s", rnd.IntN(5)), fmt.Sprint("r", rnd.IntN(20))}
				turn := &turn{size: rnd.IntN(100)}
				s, l := q.find(key[0], key[1])
				q.push(turn, s, l, key[0], key[1])
				model[key] = append(model[key], turn)
			case n < 5 && growing: // presence replaced by newer presence
				key := [2]string{fmt.Sprint("s", rnd.IntN(5)), fmt.Sprint("r", rnd.IntN(20))}
				waiting := model[key]
				if len(waiting) == 0 {
					continue
				}
				newer := &turn{size: rnd.IntN(100)}
				s, l := q.find(key[0], key[1])
				i := rnd.IntN(len(waiting))
				var prev *turn
				if i > 0 {
					prev = waiting[i-1]
				}
				q.push(newer, s, l, key[0], key[1])
				q.remove(prev, waiting[i])
				model[key] = append(append(append([]*turn{}, waiting[:i]...), waiting[i+1:]...), newer)
			case n < 8:
				turn := q.pop()
				if turn == nil {
					for key, waiting := range model {
						if len(waiting) > 0 && !busy[key] && (perSender[key[0]] < q.perSender || key[0] == "s0") {
							t.Fatalf("seed %d: %v is ready and is not taken", seed, key)
						}
					}
					continue
				}
				key := [2]string{turn.lane.sender.addr, turn.lane.to}
				if busy[key] || len(model[key]) == 0 || model[key][0] != turn {
					t.Fatalf("seed %d: %v out of order", seed, key)
				}
				model[key] = model[key][1:]
				busy[key], active[turn] = true, key
				if perSender[key[0]]++; perSender[key[0]] > q.perSender && key[0] != "s0" {
					t.Fatalf("seed %d: %s has too many lanes at once", seed, key[0])
				}
			default:
				for turn, key := range active {
					q.release(turn)
					delete(active, turn)
					busy[key] = false
					perSender[key[0]]--
					break
				}
			}
		}
		for {
			for turn, key := range active {
				q.release(turn)
				delete(active, turn)
				busy[key] = false
			}
			turn := q.pop()
			if turn == nil {
				break
			}
			active[turn] = [2]string{turn.lane.sender.addr, turn.lane.to}
		}
		if len(q.senders)+q.lanes+q.held+q.waiting+q.bytes+q.readies != 0 || q.ring != nil || q.ringEnd != nil {
			t.Fatalf("seed %d: something is left: %+v", seed, q)
		}
	}
}

func TestSendersTakeTurns(t *testing.T) {
	q := &queues{senders: make(map[string]*sender), perSender: 100}
	for i := range 30 { // of one sender to many, and one each of two more
		to := fmt.Sprint("r", i%15)
		s, l := q.find("flood", to)
		q.push(new(turn), s, l, "flood", to)
	}
	for _, from := range []string{"ann", "bob"} {
		q.push(new(turn), nil, nil, from, "r")
	}
	var order []string
	for range 5 {
		order = append(order, q.pop().lane.sender.addr)
	}
	if got := fmt.Sprint(order); got != "[flood ann bob flood flood]" {
		t.Error(got)
	}
}

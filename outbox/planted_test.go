//go:build integration

package outbox_test

import "testing"

// TestFLT17_PlantedBugs plants bugs, each of which the ledger must find.
func TestFLT17_PlantedBugs(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		plant, place string
		nth          int
	}{
		{"mark soon", "marked", 2},
		{"send soon", "before commit", 3},
		{"fresh ids", "confirmed", 2},
	} {
		t.Run(tc.plant, func(t *testing.T) {
			l := w.crash(t, tc.place, tc.nth, tc.plant)
			err := l.check()
			if err == nil {
				t.Fatal("the ledger found nothing")
			}
			t.Log(err)
		})
	}
}

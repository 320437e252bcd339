package roster_test

import (
	"strings"
	"testing"

	"github.com/postern-im/postern/roster"
	"github.com/postern-im/postern/stanza"
)

// tables are those of RFC 6121 appendix A: the state before, whether the stanza reaches the user (only of what is received), and the
// state after, "-" for no change.
const tables = `
sent subscribe
None                  | None + Pending Out
None + Pending Out    | -
None + Pending In     | None + Pending Out+In
None + Pending Out+In | -
To                    | -
To + Pending In       | -
From                  | From + Pending Out
From + Pending Out    | -
Both                  | -
sent unsubscribe
None                  | -
None + Pending Out    | None
None + Pending In     | -
None + Pending Out+In | None + Pending In
To                    | None
To + Pending In       | None + Pending In
From                  | -
From + Pending Out    | From
Both                  | From
sent subscribed
None                  | -
None + Pending Out    | -
None + Pending In     | From
None + Pending Out+In | From + Pending Out
To                    | -
To + Pending In       | Both
From                  | -
From + Pending Out    | -
Both                  | -
sent unsubscribed
None                  | -
None + Pending Out    | -
None + Pending In     | None
None + Pending Out+In | None + Pending Out
To                    | -
To + Pending In       | To
From                  | None
From + Pending Out    | None + Pending Out
Both                  | To
received subscribe
None                  | None + Pending In
None + Pending Out    | None + Pending Out+In
None + Pending In     | -
None + Pending Out+In | -
To                    | To + Pending In
To + Pending In       | -
From                  | -
From + Pending Out    | -
Both                  | -
received unsubscribe
None                  | -
None + Pending Out    | -
None + Pending In     | None
None + Pending Out+In | None + Pending Out
To                    | -
To + Pending In       | To
From                  | None
From + Pending Out    | None + Pending Out
Both                  | To
received subscribed
None                  | -
None + Pending Out    | To
None + Pending In     | -
None + Pending Out+In | To + Pending In
To                    | -
To + Pending In       | -
From                  | -
From + Pending Out    | Both
Both                  | -
received unsubscribed
None                  | -
None + Pending Out    | None
None + Pending In     | -
None + Pending Out+In | None + Pending In
To                    | None
To + Pending In       | None + Pending In
From                  | -
From + Pending Out    | From
Both                  | From`

func TestTablesOfRFC6121(t *testing.T) {
	states := make(map[string]roster.State)
	for _, s := range []roster.State{
		roster.StateNone, roster.StateNonePendingOut, roster.StateNonePendingIn, roster.StateNonePendingOutIn, roster.StateTo,
		roster.StateToPendingIn, roster.StateFrom, roster.StateFromPendingOut, roster.StateBoth,
	} {
		states[s.String()] = s
	}
	if len(states) != 9 {
		t.Fatalf("states %v", states)
	}
	rows, way, typ := 0, "", ""
	for line := range strings.Lines(strings.TrimSpace(tables)) {
		from, to, row := strings.Cut(strings.TrimSpace(line), "|")
		if !row {
			way, typ, _ = strings.Cut(from, " ")
			continue
		}
		rows++
		before, known := states[strings.TrimSpace(from)]
		want, change := before, strings.TrimSpace(to) != "-"
		if change {
			want = states[strings.TrimSpace(to)]
		}
		got, delivered := before.Sent(stanza.PresenceType(typ)), change
		if way == "received" { // exactly what changes the state is handed on
			got, delivered = before.Received(stanza.PresenceType(typ))
		}
		if !known || got != want || delivered != change {
			t.Errorf("%s %s in %q: %q, %v; want %q", way, typ, from, got, delivered, want)
		}
	}
	if rows != 72 {
		t.Errorf("%d rows", rows)
	}
	for _, s := range states {
		if after, delivered := s.Received(stanza.PresenceAvailable); s.Sent(stanza.PresenceProbe) != s || after != s || delivered {
			t.Errorf("%v is changed by what is not about subscriptions", s)
		}
	}
}

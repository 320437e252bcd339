package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/xmltree"
)

// outboxCommand is "gateway outbox".
type outboxCommand struct {
	List  outboxList  `cmd:"" help:"Show what waits to be sent, or, with --dead, what could not be."`
	Retry outboxRetry `cmd:"" help:"Put dead letters back, behind what waits."`
	Drop  outboxDrop  `cmd:"" help:"Forget dead letters."`
}

// outboxList is "gateway outbox list".
type outboxList struct {
	stateful

	Dead   bool  `help:"Show dead letters: what could not be sent, and why."`
	After  int64 `help:"Begin behind this number." placeholder:"SEQ"`
	Limit  int   `help:"Show this many at most." default:"50" placeholder:"N"`
	Stanza bool  `help:"Show the stanzas themselves, with all that users wrote."`
}

// Help implements kong.HelpProvider.
func (c outboxList) Help() string {
	return c.p.expand(`Shows stanzas of the outbox in their order, each with its number. What users wrote is shown with --stanza alone.

Examples:

  ${name} outbox list --config gateway.yaml
  ${name} outbox list --config gateway.yaml --dead
  ${name} outbox list --config gateway.yaml --dead --after=41 --limit=1 --stanza`)
}

func (c *outboxList) run(ctx context.Context, k *kong.Context) int {
	return c.withDatabase(ctx, k, func(ctx context.Context, d *database) error {
		stats, err := d.OutboxStats(ctx)
		if err != nil {
			return err
		}
		c.p.say("%d waiting, the oldest since %s; %d dead\n", stats.Waiting, stamp(stats.Oldest), stats.Dead)
		if c.Dead {
			letters, err := d.ListDeadLetters(ctx, c.After, c.Limit)
			if err != nil {
				return err
			}
			rows, died := make([]storage.OutboxRow, len(letters)), make([]time.Time, len(letters))
			for i, l := range letters {
				rows[i], died[i] = l.OutboxRow, l.Died
			}
			c.show(rows, "DIED", died)
			return nil
		}
		rows, err := d.ListOutbox(ctx, c.After, c.Limit)
		if err != nil {
			return err
		}
		next := make([]time.Time, len(rows))
		for i, r := range rows {
			next[i] = r.NotUntil
		}
		c.show(rows, "NOT BEFORE", next)
		return nil
	})
}

// show writes a table, or the stanzas. One column of times depends on what the rows are.
func (c *outboxList) show(rows []storage.OutboxRow, column string, times []time.Time) {
	if len(rows) == 0 {
		return
	}
	if c.Stanza {
		for _, r := range rows {
			c.p.say("%d %s\n", r.Seq, shownStanza(r.Stanza))
		}
		return
	}
	cells := [][]string{{"SEQ", "SINCE", "TRIES", column, "FROM", "TO", "ID", "BYTES", "REASON"}}
	for i, r := range rows {
		from, to := addresses(r.Stanza)
		cells = append(cells, []string{
			fmt.Sprint(r.Seq), stamp(r.Created), fmt.Sprint(r.Attempts), stamp(times[i]), shown(from), shown(to), shown(r.ID),
			fmt.Sprint(len(r.Stanza)), shown(r.Reason),
		})
	}
	c.p.table(cells)
}

// shownStanza is a whole stanza, fit for a terminal.
func shownStanza(xml []byte) string {
	if el, err := xmltree.Parse(xml, xmltree.Limits{}); err == nil {
		xml = []byte(el.String())
	}
	return clean(string(xml), storage.MaxStanza)
}

// addresses reads from and to of a stored stanza.
func addresses(xml []byte) (from, to string) {
	el, err := xmltree.Parse(xml, xmltree.Limits{})
	if err != nil {
		return "?", "?"
	}
	s, err := stanza.Parse(el)
	if err != nil {
		return "?", "?"
	}
	return s.Head().From.String(), s.Head().To.String()
}

// letters is which dead letters are meant.
type letters struct {
	Seqs []int64 `arg:"" optional:"" name:"seq" help:"Numbers of dead letters."`
	All  bool    `help:"All of them."`
}

// errWhich is that it is not said which dead letters are meant.
var errWhich = errors.New("say which dead letters: their numbers, or --all")

func (l letters) check() error {
	if (len(l.Seqs) == 0) != l.All {
		return errWhich
	}
	return nil
}

// outboxRetry is "gateway outbox retry".
type outboxRetry struct {
	stateful
	letters
}

// Help implements kong.HelpProvider.
func (c outboxRetry) Help() string {
	return c.p.expand(`A gateway that runs sends them soon, each behind what waits in its conversation. Those that fail for good are dead letters again.

Examples:

  ${name} outbox retry --config gateway.yaml 41 42
  ${name} outbox retry --config gateway.yaml --all`)
}

func (c *outboxRetry) run(ctx context.Context, k *kong.Context) int {
	return c.act(ctx, k, &c.stateful, "put back", func(d *database) func(context.Context, ...int64) (int, error) { return d.RetryDeadLetters })
}

// act does something with dead letters, and says of how many.
func (l letters) act(ctx context.Context, k *kong.Context, c *stateful, done string, do func(*database) func(context.Context, ...int64) (int, error)) int {
	if err := l.check(); err != nil {
		c.p.complain(err)
		return ExitConfig
	}
	return c.withDatabase(ctx, k, func(ctx context.Context, d *database) error {
		n, err := do(d)(ctx, l.Seqs...)
		if err != nil {
			return err
		}
		c.p.say("%d %s\n", n, done)
		if n < len(l.Seqs) {
			return fmt.Errorf("not among the dead letters: %d of %d", len(l.Seqs)-n, len(l.Seqs))
		}
		return nil
	})
}

// outboxDrop is "gateway outbox drop".
type outboxDrop struct {
	stateful
	letters
}

// Help implements kong.HelpProvider.
func (c outboxDrop) Help() string {
	return c.p.expand(`What is dropped is gone.

Examples:

  ${name} outbox drop --config gateway.yaml 41 42
  ${name} outbox drop --config gateway.yaml --all`)
}

func (c *outboxDrop) run(ctx context.Context, k *kong.Context) int {
	return c.act(ctx, k, &c.stateful, "dropped", func(d *database) func(context.Context, ...int64) (int, error) { return d.DropDeadLetters })
}

package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-im/postern/internal/cli"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/xmltree"
)

// outboxList is "gateway outbox list".
type outboxList struct {
	stateful

	dead    bool
	after   int64
	limit   int
	stanzas bool
}

func (c *outboxList) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "Show what waits to be sent, or, with --dead, what could not be.",
		Long: `Shows stanzas of the outbox in their order, each with its number. What users wrote is shown with --stanza alone.`,
		Example: c.p.expand(`  ${name} outbox list --config gateway.yaml
  ${name} outbox list --config gateway.yaml --dead
  ${name} outbox list --config gateway.yaml --dead --after=41 --limit=1 --stanza`),
	}
	flags := cmd.Flags()
	c.flags(flags)
	flags.BoolVar(&c.dead, "dead", false, "Show dead letters: what could not be sent, and why.")
	flags.Int64Var(&c.after, "after", 0, "Begin behind the number `SEQ`.")
	flags.IntVar(&c.limit, "limit", 50, "Show this many at most.")
	flags.BoolVar(&c.stanzas, "stanza", false, "Show the stanzas themselves, with all that users wrote.")
	return cmd
}

func (c *outboxList) run(ctx context.Context) int {
	return c.withDatabase(ctx, func(ctx context.Context, d *database) error {
		stats, err := d.OutboxStats(ctx)
		if err != nil {
			return err
		}
		c.p.say("%d waiting, the oldest since %s; %d dead\n", stats.Waiting, stamp(stats.Oldest), stats.Dead)
		if c.dead {
			letters, err := d.ListDeadLetters(ctx, c.after, c.limit)
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
		rows, err := d.ListOutbox(ctx, c.after, c.limit)
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
	if c.stanzas {
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
	stateful

	seqs []int64
	all  bool
}

// flags adds the flags and arguments that the commands have in common.
func (c *letters) flags(cmd *cobra.Command) {
	cli.Arguments(cmd, "seq", "Numbers of dead letters.", 0, 0, func(text string) error {
		n, err := strconv.ParseInt(text, 10, 64)
		c.seqs = append(c.seqs, n)
		return err
	})
	c.stateful.flags(cmd.Flags())
	cmd.Flags().BoolVar(&c.all, "all", false, "All of them.")
}

// errWhich is that it is not said which dead letters are meant.
var errWhich = errors.New("say which dead letters: their numbers, or --all")

func (c *letters) check() error {
	if (len(c.seqs) == 0) != c.all {
		return errWhich
	}
	return nil
}

// outboxRetry is "gateway outbox retry".
type outboxRetry struct{ letters }

func (c *outboxRetry) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "retry", Short: "Put dead letters back, behind what waits.",
		Long: `A gateway that runs sends them soon, each behind what waits in its conversation. Those that fail for good are dead letters again.`,
		Example: c.p.expand(`  ${name} outbox retry --config gateway.yaml 41 42
  ${name} outbox retry --config gateway.yaml --all`),
	}
	c.flags(cmd)
	return cmd
}

func (c *outboxRetry) run(ctx context.Context) int {
	return c.act(ctx, "put back", func(d *database) func(context.Context, ...int64) (int, error) { return d.RetryDeadLetters })
}

// act does something with dead letters, and says of how many.
func (c *letters) act(ctx context.Context, done string, do func(*database) func(context.Context, ...int64) (int, error)) int {
	if err := c.check(); err != nil {
		c.p.complain(err)
		return ExitConfig
	}
	return c.withDatabase(ctx, func(ctx context.Context, d *database) error {
		n, err := do(d)(ctx, c.seqs...)
		if err != nil {
			return err
		}
		c.p.say("%d %s\n", n, done)
		if n < len(c.seqs) {
			return fmt.Errorf("not among the dead letters: %d of %d", len(c.seqs)-n, len(c.seqs))
		}
		return nil
	})
}

// outboxDrop is "gateway outbox drop".
type outboxDrop struct{ letters }

func (c *outboxDrop) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "drop", Short: "Forget dead letters.",
		Long: "What is dropped is gone.",
		Example: c.p.expand(`  ${name} outbox drop --config gateway.yaml 41 42
  ${name} outbox drop --config gateway.yaml --all`),
	}
	c.flags(cmd)
	return cmd
}

func (c *outboxDrop) run(ctx context.Context) int {
	return c.act(ctx, "dropped", func(d *database) func(context.Context, ...int64) (int, error) { return d.DropDeadLetters })
}

// Program mutants shows that the guards are guarded: it takes away each line that carries a "// guard: SEC-nn" comment,
// one at a time and without touching the tree (go test -overlay), and demands that a test of that row fails.
//
// A marker stands at the end of the line it speaks of, or alone on the line above:
//
//	if depth > max { // guard: SEC-28                          the condition becomes false (also: case cond:)
//	text = clean(text) // guard: SEC-33                        the statement is skipped
//	',': true, // guard: SEC-72                                the element is removed
//	const max = 64 // guard: SEC-28 replace: 64 => 1 << 30     the text is replaced
//	// guard: SEC-23 begin ... // guard: SEC-23 end            the statements or elements between are
//
// A marker may name several rows ("SEC-23, SEC-24") and carry a remark in brackets.
//
// A mutant is killed when a test or subtest that carries the row's id fails, hangs or crashes. One that does not compile
// is broken, which is an error as a survivor is. So are a row of docs/guarantees.md without a guard, a guard without a
// test, and a row whose tests fail or do not run before anything is changed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-im/postern/internal/rows"
)

// limited is the first argument that makes this program run another one in little memory.
const limited = "run-limited"

// options are the command line.
type options struct {
	root    string
	row     string
	timeout time.Duration
	workers int
	part    int    // which of the parts of the guards is tried, from 0
	parts   int    // 0 or 1: all are
	self    string // this program, to run test binaries in limited memory; "" leaves them unlimited
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == limited {
		fmt.Fprintln(os.Stderr, "mutants:", runLimited(os.Args[2:]))
		os.Exit(2)
	}
	var o options
	flag.StringVar(&o.root, "C", ".", "the module's `folder`")
	flag.StringVar(&o.row, "row", "", "try the guards of one `row` only, such as SEC-23")
	flag.DurationVar(&o.timeout, "timeout", 60*time.Second, "how long a mutant's tests may take; a longer time kills it")
	flag.IntVar(&o.parts, "parts", 1, "deal the guards into this many parts, and try one of them")
	flag.IntVar(&o.part, "part", 0, "`which` of the parts, from 0; any number will do")
	flag.IntVar(&o.workers, "j", runtime.NumCPU(), "how many mutants to try at a time")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if self, err := os.Executable(); err == nil {
		o.self = self
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ok, err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// A report counts verdicts and prints them.
type report struct {
	out                                 io.Writer
	root                                string
	killed, survived, broken, complaint int
}

func (r *report) line(row rows.ID, where, test, text string) {
	if test == "" {
		test = "-"
	}
	fmt.Fprintf(r.out, "%-7s %-40s %-48s %s\n", row, where, test, text)
}

func (r *report) complain(row rows.ID, text string) {
	r.complaint++
	r.line(row, "-", "-", text)
}

// run tries all guards and tells whether all is well.
func run(ctx context.Context, o options, out io.Writer) (bool, error) {
	root, err := filepath.Abs(o.root)
	if err != nil {
		return false, err
	}
	list, err := rows.List(filepath.Join(root, rows.File))
	if err != nil {
		return false, err
	}
	packages, err := rows.Packages(ctx, root)
	if err != nil {
		return false, err
	}
	tests, err := rows.Tests(packages)
	if err != nil {
		return false, err
	}
	guards, err := find(packages)
	if err != nil {
		return false, err
	}
	if o.row != "" {
		ids := rows.IDs(o.row)
		if len(ids) != 1 {
			return false, fmt.Errorf("%q is no row", o.row)
		}
		list = slices.DeleteFunc(list, func(r rows.Row) bool { return r.ID != ids[0] })
		guards = slices.DeleteFunc(guards, func(g guard) bool { return g.row != ids[0] })
		if len(list) == 0 {
			return false, fmt.Errorf("%s is not in %s", ids[0], rows.File)
		}
	}
	t := runner{root: root, timeout: o.timeout}
	if o.self != "" {
		t.exec = []string{o.self, limited}
	}
	r := &report{out: out, root: root}
	r.line("ROW", "GUARD", "TEST", "VERDICT")
	if guards, err = r.check(ctx, t, list, guards, tests); err != nil {
		return false, err
	}
	if o.parts > 1 {
		guards = dealt(guards, o.part, o.parts)
	}
	if err := r.try(ctx, t, o.workers, guards, tests); err != nil {
		return false, err
	}
	_, err = fmt.Fprintf(out, "\n%d mutants: %d killed, %d survived, %d broken; %d rows or guards at fault before that\n",
		r.killed+r.survived+r.broken, r.killed, r.survived, r.broken, r.complaint)
	return r.survived+r.broken+r.complaint == 0, err
}

// dealt returns every parts-th guard, beginning with that of the part.
func dealt(guards []guard, part, parts int) (mine []guard) {
	for i, g := range guards {
		if i%parts == part%parts {
			mine = append(mine, g)
		}
	}
	return mine
}

// check complains about rows and guards that cannot be tried, and returns the guards that can.
func (r *report) check(ctx context.Context, t runner, list []rows.Row, guards []guard, tests map[rows.ID][]rows.Test) ([]guard, error) {
	guarded := make(map[rows.ID]bool)
	for _, g := range guards {
		guarded[g.row] = true
	}
	known := make(map[rows.ID]bool)
	for _, row := range list {
		known[row.ID] = true
		switch {
		case row.NoGuard == "" && !guarded[row.ID]:
			r.complain(row.ID, fmt.Sprintf("no guard, and %s gives no reason", rows.File))
		case row.NoGuard != "" && guarded[row.ID]:
			r.complain(row.ID, fmt.Sprintf("has a guard, but %s says there is none: %s", rows.File, row.NoGuard))
		}
	}
	var wanted []rows.Test
	for id := range guarded {
		if !known[id] {
			r.complain(id, "has a guard, but is not in "+rows.File)
		}
		wanted = append(wanted, tests[id]...)
	}
	var before outcome
	if len(wanted) > 0 {
		var err error
		if before, err = t.test(ctx, wanted, ""); err != nil {
			return nil, err
		}
		if before.build != "" {
			return nil, fmt.Errorf("the tests do not compile before anything is changed: %s", before.build)
		}
	}
	var fit []guard
	for _, g := range guards {
		switch bad := carriers(g.row, append(before.failed, before.unfinished...)); {
		case g.err != nil:
			r.broken++
			r.line(g.row, r.where(g), "-", "broken: "+g.err.Error())
		case bad != "":
			r.complaint++
			r.line(g.row, r.where(g), bad, "fails before anything is changed")
		case carriers(g.row, before.passed) == "":
			r.complaint++
			r.line(g.row, r.where(g), "-", "no test of this row runs without real servers")
		default:
			fit = append(fit, g)
		}
	}
	return fit, nil
}

// try tries the guards, several at a time, and prints the verdicts in order.
func (r *report) try(ctx context.Context, t runner, workers int, guards []guard, tests map[rows.ID][]rows.Test) error {
	type result struct {
		verdict
		outcome outcome
		err     error
	}
	results := make([]chan result, len(guards))
	for i := range results {
		results[i] = make(chan result, 1)
	}
	ctx, cancel := context.WithCancel(ctx)
	next := make(chan int)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for range max(1, workers) {
		wg.Go(func() {
			for i := range next {
				v, o, err := t.try(ctx, guards[i], tests[guards[i].row])
				results[i] <- result{v, o, err}
			}
		})
	}
	wg.Go(func() {
		defer close(next)
		for i := range guards {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	})
	for i, g := range guards {
		var res result
		select {
		case res = <-results[i]:
		case <-ctx.Done():
			return ctx.Err()
		}
		if res.err != nil {
			return res.err
		}
		test := carriers(g.row, res.outcome.failed)
		if test == "" {
			test = carriers(g.row, append(res.outcome.unfinished, res.outcome.passed...))
		}
		switch {
		case res.killed:
			r.killed++
		case res.broken:
			r.broken++
		default:
			r.survived++
		}
		r.line(g.row, r.where(g), test, res.text+" ("+g.mutated+")")
	}
	return nil
}

// where names a guard's place from the module's root.
func (r *report) where(g guard) string {
	return fmt.Sprintf("%s:%d", strings.TrimPrefix(g.file, r.root+string(filepath.Separator)), g.line)
}

// Program fork makes the tree somebody's own: it rewrites the module's path and the names of the program, its image and
// its service, keeps one example, and leaves a tree that builds.
//
//	go run ./internal/fork -module example.org/irc-gateway -name irc-gateway [-example echo] [-out dir]
//
// Without -out the tree itself is changed, which git must be able to undo: nothing may be uncommitted. With -out a copy
// is made and changed. What a fork changes by hand afterwards stays: a fork can be forked, that is renamed, again.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	var o options
	flag.StringVar(&o.module, "module", "", "the fork's module `path`, such as example.org/irc-gateway")
	flag.StringVar(&o.name, "name", "", "the `name` of its program, image and service, such as irc-gateway")
	flag.StringVar(&o.example, "example", "echo", "the `example` to keep")
	flag.StringVar(&o.out, "out", "", "make a copy in this `folder`, which must be empty or not exist, and leave the tree alone")
	flag.StringVar(&o.root, "C", ".", "the tree to fork")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fork:", err)
		os.Exit(1)
	}
}

// run forks, builds the result and says what comes next.
func run(ctx context.Context, o options, out io.Writer) error {
	f, err := plan(ctx, o)
	if err != nil {
		return err
	}
	if err := f.make(ctx); err != nil {
		return err
	}
	for _, args := range [][]string{{"build", "./..."}, {"vet", "./..."}} {
		if err := command(ctx, f.dir, "go", args...); err != nil {
			return fmt.Errorf("the fork does not pass go %s: %w", strings.Join(args, " "), err)
		}
	}
	next := "git add -A && git commit -m 'Fork of Postern'"
	if o.out != "" {
		next = "cd " + f.dir + " && git init && git add -A && git commit -m 'Fork of Postern'"
	}
	_, err = fmt.Fprintf(out, `%s is now %s in %s; %d files were rewritten, and it builds.

next:  %s
       make test-unit
       make run
then:  read docs/extending.md, and make examples/%s yours
`, f.oldName, f.name, f.module, f.rewritten, next, f.example)
	return err
}

// command runs a program in a folder; its error holds what it said.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s in %s: %w\n%s", name, filepath.Base(dir), err, out)
	}
	return nil
}

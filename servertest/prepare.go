package servertest

import (
	"context"
	"fmt"
	"io"
)

// Prepare makes ready what the servers run in, so that the first test need not wait for it: it builds the images where a container engine
// answers, else it checks that the machine has the servers' packages. Its steps and its choice are written to progress.
func Prepare(ctx context.Context, progress io.Writer) error {
	b, err := chooseBackend(ctx)
	if err != nil {
		return fmt.Errorf("servertest: %w", err)
	}
	defer b.close()
	for _, image := range images() {
		if err := b.prepare(ctx, image, progress); err != nil {
			return fmt.Errorf("servertest: %s: %w", image, err)
		}
	}
	_, contained := b.(*containers)
	if contained {
		fmt.Fprintln(progress, "the servers run in containers")
	} else {
		fmt.Fprintln(progress, "the servers run as child processes")
	}
	return nil
}

// images are the folders of package docker that servers run in.
func images() []string { return []string{"prosody", "ejabberd", "postgres", "slixmpp"} }

package servertest

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// beside runs the image in a container that shares the server's network, so that the server's ports are on its loopback too.
func (c *boxed) beside(ctx context.Context, image string) (_ *conversation, err error) {
	name, err := ensureImage(ctx, c.client(), image, io.Discard)
	if err != nil {
		return nil, err
	}
	network := container.NetworkMode("container:" + c.container.GetContainerID())
	guest, err := c.provider.CreateContainer(ctx, testcontainers.ContainerRequest{
		Image:  name,
		Labels: map[string]string{labelOwner: owner(os.Getpid())},
		ConfigModifier: func(config *container.Config) {
			config.AttachStdin, config.AttachStdout, config.AttachStderr = true, true, true
			config.OpenStdin, config.StdinOnce = true, true
		},
		HostConfigModifier: func(h *container.HostConfig) { h.NetworkMode = network },
	})
	if guest == nil {
		return nil, err
	}
	remove := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
		defer cancel()
		_, err := c.client().ContainerRemove(ctx, guest.GetContainerID(), client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		return err
	}
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	// Attached before it starts, or its first lines could be missed; and for longer than the caller's context.
	stream, err := c.client().ContainerAttach(context.Background(), guest.GetContainerID(),
		client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	if err := guest.Start(ctx); err != nil {
		stream.Close()
		return nil, errors.Join(err, remove())
	}
	out, w := io.Pipe()
	said, done := new(lockedBuffer), make(chan struct{})
	go func() {
		defer close(done)
		_, err := stdcopy.StdCopy(w, said, stream.Reader)
		w.CloseWithError(errors.Join(io.EOF, err))
	}()
	return &conversation{
		in: stream.Conn, out: out, log: said.String,
		end: func() {
			_ = remove() // what is left is swept by a later run
			out.Close()
			stream.Close()
			<-done
		},
	}, nil
}

// lockedBuffer is text that one goroutine writes and others read.
type lockedBuffer struct {
	mu   sync.Mutex
	text []byte
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	return len(p), nil
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

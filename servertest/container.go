package servertest

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"
)

// engineTimeout bounds the question whether a container engine answers.
const engineTimeout = 3 * time.Second

// containers is the backend of containers. It has a connection to the engine of its own, which remove closes.
type containers struct {
	provider *testcontainers.DockerProvider
	address  string // where the published ports are reached
	bind     netip.Addr
}

// silent takes what testcontainers has to say while all goes well.
type silent struct{}

func (silent) Printf(string, ...any) {}

func newContainers(ctx context.Context) (_ backend, err error) {
	// Ryuk, the helper container that removes what a killed test leaves, is one more image to pull and a goroutine that outlives
	// the test. We remove by id, and sweep what is left of dead processes. Whoever sets the variable decides.
	if os.Getenv("TESTCONTAINERS_RYUK_DISABLED") == "" {
		if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
			return nil, err
		}
	}
	defer func() {
		if r := recover(); r != nil { // testcontainers panics where it finds no engine
			err = fmt.Errorf("%w: %v", ErrNoServers, r)
		}
	}()
	bridge := testcontainers.Bridge
	if strings.Contains(os.Getenv("DOCKER_HOST"), "podman.sock") {
		bridge = testcontainers.Podman
	}
	provider, err := testcontainers.NewDockerProvider(testcontainers.WithLogger(silent{}), testcontainers.WithDefaultBridgeNetwork(bridge))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoServers, err)
	}
	ping, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	if _, err := provider.Client().Ping(ping, client.PingOptions{}); err != nil {
		provider.Close()
		return nil, fmt.Errorf("%w: no container engine answers: %w", ErrNoServers, err)
	}
	b := &containers{provider: provider}
	b.address, b.bind = b.reach()
	b.sweep(ctx)
	return b, nil
}

// reach says at which address published ports are reached, and on which address of the engine's machine they are opened: for an engine
// on this machine on loopback only, since the servers' passwords are known to everybody.
func (b *containers) reach() (address string, bind netip.Addr) {
	everywhere, loopback := netip.IPv4Unspecified(), netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if host := os.Getenv("TESTCONTAINERS_HOST_OVERRIDE"); host != "" {
		if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
			return loopback.String(), loopback
		}
		return host, everywhere
	}
	if u, err := url.Parse(b.provider.Client().DaemonHost()); err == nil && u.Hostname() != "" && u.Scheme != "unix" {
		return u.Hostname(), everywhere
	}
	return loopback.String(), loopback
}

func (b *containers) host() string   { return b.address }
func (b *containers) listen() string { return "0.0.0.0" }
func (b *containers) close()         { b.provider.Close() }

func (b *containers) prepare(ctx context.Context, image string, progress io.Writer) error {
	_, err := ensureImage(ctx, b.provider.Client(), image, progress)
	return err
}

// labelOwner marks our containers with the machine and process that they belong to.
const labelOwner = "im.postern.servertest.owner"

func owner(pid int) string {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	return name + "/" + strconv.Itoa(pid)
}

func (b *containers) box(ctx context.Context, m *machine, ports []int) (box, error) {
	image, err := ensureImage(ctx, b.provider.Client(), m.image, io.Discard)
	if err != nil {
		return nil, err
	}
	published, exposed := network.PortMap{}, []string{}
	for _, p := range ports {
		port, ok := network.PortFrom(uint16(p), network.TCP) //nolint:gosec // a port fits
		if !ok {
			return nil, fmt.Errorf("port %d", p)
		}
		published[port] = []network.PortBinding{{HostIP: b.bind, HostPort: strconv.Itoa(p)}}
		exposed = append(exposed, port.String())
	}
	request := testcontainers.ContainerRequest{
		Image:        image,
		Env:          m.env,
		Cmd:          m.args,
		ExposedPorts: exposed,
		Labels:       map[string]string{labelOwner: owner(os.Getpid())},
		HostConfigModifier: func(h *container.HostConfig) {
			h.PortBindings = published
		},
	}
	if m.extra != "" {
		const extra = "/opt/xmpp/extra.conf"
		request.Env["XMPP_EXTRA"] = extra
		request.Files = []testcontainers.ContainerFile{
			{Reader: strings.NewReader(m.extra), ContainerFilePath: extra, FileMode: 0o644},
		}
	}
	c, err := b.provider.CreateContainer(ctx, request)
	if err != nil {
		if c != nil {
			_ = c.Terminate(ctx)
		}
		return nil, err
	}
	return &boxed{containers: b, container: c}, nil
}

// sweep removes the containers of processes of this machine that are gone.
func (b *containers) sweep(ctx context.Context) {
	list, err := b.provider.Client().ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", labelOwner),
	})
	if err != nil {
		return
	}
	for _, c := range list.Items {
		_, number, _ := strings.Cut(c.Labels[labelOwner], "/")
		pid, err := strconv.Atoi(number)
		if err != nil || c.Labels[labelOwner] != owner(pid) || alive(pid) {
			continue
		}
		_, _ = b.provider.Client().ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	}
}

// boxed is a server in a container.
type boxed struct {
	*containers
	container testcontainers.Container
	done      chan struct{}
}

func (c *boxed) client() client.APIClient { return c.provider.Client() }

func (c *boxed) start(ctx context.Context) error {
	if err := c.container.Start(ctx); err != nil {
		return err
	}
	done := make(chan struct{})
	wait := c.client().ContainerWait(context.Background(), c.container.GetContainerID(), // it outlives the caller's context
		client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	go func() {
		defer close(done)
		select {
		case <-wait.Result:
		case err := <-wait.Error: // the engine is gone or forgot the container: so is the server
			_ = err
		}
	}()
	c.done = done
	return nil
}

func (c *boxed) exited() <-chan struct{} { return c.done }

func (c *boxed) signal(ctx context.Context, sig signal) (err error) {
	id := c.container.GetContainerID()
	switch sig {
	case sigStop:
		err = c.pause(ctx, id)
	case sigContinue:
		_, err = c.client().ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
	default:
		name := map[signal]string{sigTerm: "TERM", sigInt: "INT", sigKill: "KILL"}[sig]
		_, err = c.client().ContainerKill(ctx, id, client.ContainerKillOptions{Signal: name})
	}
	return err
}

// pause tries again until the context ends: the freezer gives up ("unable to freeze") on a container that is busy starting
// processes, and leaves it running.
func (c *boxed) pause(ctx context.Context, id string) error {
	for {
		_, err := c.client().ContainerPause(ctx, id, client.ContainerPauseOptions{})
		if err == nil || !strings.Contains(err.Error(), "unable to freeze") {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *boxed) exec(ctx context.Context, args ...string) (string, error) {
	entry, err := c.container.Inspect(ctx)
	if err != nil {
		return "", err
	}
	code, out, err := c.container.Exec(ctx, append(entry.Config.Entrypoint, args...), tcexec.Multiplexed())
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(out)
	if err == nil && code != 0 {
		err = fmt.Errorf("exit code %d", code)
	}
	return string(text), err
}

func (c *boxed) file(ctx context.Context, name string) ([]byte, error) {
	r, err := c.container.CopyFileFromContainer(ctx, "/data/"+name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func (c *boxed) log(ctx context.Context) (string, error) {
	r, err := c.container.Logs(ctx)
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	return string(text), err
}

func (c *boxed) remove(ctx context.Context) error {
	defer c.close()
	_, err := c.client().ContainerRemove(ctx, c.container.GetContainerID(), client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if c.done != nil && err == nil {
		<-c.done
	}
	return err
}

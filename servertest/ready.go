package servertest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// probeTimeout bounds one question to a server.
const probeTimeout = 2 * time.Second

// ask dials addr, writes the question and reads until done says that the answer is there.
func ask(ctx context.Context, addr string, question []byte, done func(answer []byte) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err = conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err = conn.Write(question); err != nil {
		return err
	}
	var answer []byte
	chunk := make([]byte, 4096)
	for len(answer) < 64<<10 {
		n, err := conn.Read(chunk)
		answer = append(answer, chunk[:n]...)
		if ok, bad := done(answer); ok || bad != nil {
			return bad
		}
		if err != nil {
			return fmt.Errorf("%s: %w after %q", addr, err, answer)
		}
	}
	return fmt.Errorf("%s: %w", addr, io.ErrShortBuffer)
}

// probeStream says whether the server at addr answers a stream header (RFC 6120 section 4.2) with its own.
func probeStream(ctx context.Context, addr, namespace, to string) error {
	header := fmt.Sprintf("<?xml version='1.0'?><stream:stream xmlns='%s' xmlns:stream='http://etherx.jabber.org/streams' to='%s' version='1.0'>",
		namespace, to)
	return ask(ctx, addr, []byte(header), func(answer []byte) (bool, error) {
		return bytes.Contains(answer, []byte("<stream:stream")), nil
	})
}

// probePostgres says whether the server at addr asks a user to authenticate, as it does only when it takes connections.
func probePostgres(ctx context.Context, addr, user, database string) error {
	body := binary.BigEndian.AppendUint32(nil, 3<<16) // protocol 3.0
	for _, s := range []string{"user", user, "database", database} {
		body = append(append(body, s...), 0)
	}
	body = append(body, 0)
	question := append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...) //nolint:gosec // a few dozen bytes
	return ask(ctx, addr, question, func(answer []byte) (bool, error) {
		switch {
		case len(answer) == 0:
			return false, nil
		case answer[0] == 'R':
			return true, nil
		default:
			return false, errors.New("postgres is starting up")
		}
	})
}

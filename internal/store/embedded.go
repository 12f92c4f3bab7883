package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
)

// embedded is a Redis inside this process. It listens on loopback with a random
// password, so that other users of the machine cannot read from it.
//
// It is reached over TCP: the in-memory connection that miniredis offers has no
// buffer and blocks on a pipeline of a few kilobytes. It listens itself, because
// miniredis ends its listener at the first failure, and a process that is out of
// file descriptors for a moment would be without its store for good.
type embedded struct {
	server   *miniredis.Miniredis
	listener net.Listener
	password string
	once     sync.Once
}

// acceptPause is how long nobody is let in after a failure to.
const acceptPause = 5 * time.Millisecond

// agePeriod is how often keys age, and so how exact their expiry is. miniredis
// can age keys by the clock on every command instead, but then looks at every
// key each time.
const agePeriod = 250 * time.Millisecond

func startEmbedded(ctx context.Context) (*embedded, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start embedded Redis: %w", err)
	}
	return embeddedOn(l)
}

func embeddedOn(l net.Listener) (*embedded, error) {
	e := &embedded{server: miniredis.NewMiniRedis(), listener: l, password: rand.Text()}
	e.server.RequireAuth(e.password)
	first, err := e.server.Dial() // starts it, without a listener
	if err != nil {
		return nil, fmt.Errorf("start embedded Redis: %w", err)
	}
	_ = first.Close() // a pipe in memory
	go e.listen(e.server.Server())
	return e, nil
}

// listen lets clients in until the listener is closed.
func (e *embedded) listen(server *server.Server) {
	for {
		conn, err := e.listener.Accept()
		switch {
		case err == nil:
			server.ServeConn(conn)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			<-time.After(acceptPause)
		}
	}
}

// age moves the server's time by what has passed since the last tick, which
// after a suspended laptop is much more than the period.
func (e *embedded) age(ctx context.Context) {
	ticker := time.NewTicker(agePeriod)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			// Round strips the monotonic clock, which stops while suspended.
			now := time.Now()
			if passed := now.Round(0).Sub(last.Round(0)); passed > 0 {
				e.server.FastForward(passed)
			}
			last = now
		}
	}
}

func (e *embedded) client(budget time.Duration) *redis.Client {
	return redis.NewClient(tuned(&redis.Options{Addr: e.listener.Addr().String(), Password: e.password}, budget))
}

func (e *embedded) close() {
	e.once.Do(func() {
		_ = e.listener.Close() // lets nobody in any more, whatever it says
		e.server.Close()
	})
}

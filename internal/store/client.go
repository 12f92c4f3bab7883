package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ErrURL is wrapped by what Open says of a URL that it cannot use.
var ErrURL = errors.New("unusable Redis URL")

// dial makes a client for a URL without connecting.
func dial(rawURL string, budget time.Duration) (*redis.Client, error) {
	u, err := url.Parse(rawURL)
	if err != nil || !slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme) {
		// url.Error repeats the URL, which may hold a password.
		return nil, fmt.Errorf("%w: want redis://, rediss:// or unix://, with special characters of the password percent-encoded", ErrURL)
	}
	options, err := redis.ParseURL(rawURL)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrURL, redacted(rawURL), err)
	}
	return redis.NewClient(tuned(options, budget)), nil
}

// tuned sets what the URL left open. The defaults of go-redis are meant for
// work that can wait: 5 s to read, 5 s to dial, five dials, three retries, and
// no regard for the deadline of the context. Here a request is waiting.
func tuned(o *redis.Options, budget time.Duration) *redis.Options {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	o.ContextTimeoutEnabled = true
	// A retried command may run twice when only its reply was lost. One loop
	// retries, if any, and it is not this one.
	if o.MaxRetries == 0 {
		o.MaxRetries = -1
	}
	o.DialerRetries = 1
	// A connection being dialled when its caller gives up goes to the pool, so
	// a TLS handshake may take longer than one request's budget.
	set(&o.DialTimeout, max(4*budget, time.Second))
	set(&o.ReadTimeout, max(4*budget, time.Second))
	set(&o.WriteTimeout, max(4*budget, time.Second))
	set(&o.PoolTimeout, max(4*budget, time.Second))
	if o.PoolSize == 0 {
		o.PoolSize = max(64, 16*runtime.GOMAXPROCS(0))
	}
	if o.MaxIdleConns == 0 {
		o.MaxIdleConns = o.PoolSize
	}
	// Pipelines are short here: no pool and no large buffers of their own.
	o.PipelinePoolSize = -1
	set(&o.ConnMaxIdleTime, 5*time.Minute)
	// Sized for grades: a few kilobytes each.
	o.ReadBufferSize, o.WriteBufferSize = 16<<10, 16<<10
	// Both ask the server for things on every new connection that plain Redis,
	// Valkey and proxies answer with an error.
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o
}

// redacted is a URL fit to be shown: without user, password and parameters.
func redacted(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "(unreadable URL)"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// isReply reports whether Redis itself answered with this error: it is there,
// and quick, but will not do what was asked.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// quietRedis sends what go-redis prints on standard error to the first store's
// log. The library has one logger for the whole process.
func quietRedis(log *slog.Logger) {
	quietOnce.Do(func() { redis.SetLogger(redisLog{log}) })
}

var quietOnce sync.Once

type redisLog struct{ log *slog.Logger }

// Printf is at debug level: whatever matters comes back as an error as well.
func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, "redis client", "detail", fmt.Sprintf(format, args...))
	}
}

package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/once"
)

// mostOnces bounds what a store inside this process remembers; the oldest
// request is forgotten first.
const mostOnces = 4096

// beginScript claims a request that must happen once, or says what became of it.
//
//	KEYS once, list of all names ("" for none)
//	ARGV fingerprint, token, lease in ms, most names
//	returns {'begun'}, {'running'}, {'reused'} or {'replay', cache, body}
var beginScript = redis.NewScript(`
local kept = redis.call('HMGET', KEYS[1], 'print', 'cache', 'body')
if kept[1] then
  if kept[1] ~= ARGV[1] then
    return {'reused'}
  end
  if kept[3] then
    return {'replay', kept[2], kept[3]}
  end
  return {'running'}
end
redis.call('HSET', KEYS[1], 'print', ARGV[1], 'token', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local most = tonumber(ARGV[4])
if most > 0 and redis.call('LPUSH', KEYS[2], KEYS[1]) > most then
  redis.call('DEL', redis.call('RPOP', KEYS[2]))
end
return {'begun'}
`)

// keepReplyScript keeps a reply if the claim still stands, and notes it with the
// grade that it shows.
//
//	KEYS once, replies of the grade
//	ARGV token, cache, body, time to live in ms, 1 to note
//	returns 1 kept, 0 not the holder
var keepReplyScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'cache', ARGV[2], 'body', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if ARGV[5] == '1' then
  redis.call('SADD', KEYS[2], KEYS[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
return 1
`)

// renewOnceScript makes a claim last another lease, unless a reply is kept.
//
//	KEYS once
//	ARGV token, lease in ms
//	returns 1 renewed, 0 not the holder
var renewOnceScript = redis.NewScript(`
local kept = redis.call('HMGET', KEYS[1], 'token', 'body')
if kept[1] ~= ARGV[1] or kept[2] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)

// dropOnceScript erases a request: with its reply, or only while it has none.
//
//	KEYS once
//	ARGV token, 1 with its reply
var dropOnceScript = redis.NewScript(`
local kept = redis.call('HMGET', KEYS[1], 'token', 'body')
if kept[1] == ARGV[1] and (ARGV[2] == '1' or not kept[2]) then
  return redis.call('DEL', KEYS[1])
end
return 0
`)

// BeginOnce claims a request, so that no other process answers it too. When it
// was answered before it returns that reply and no claim. Errors are
// once.ErrRunning, once.ErrReused, or wrap ErrUnavailable.
func (s *Store) BeginOnce(ctx context.Context, r once.Request) (once.Claim, *once.Reply, error) {
	if s.main == nil {
		return nil, nil, fmt.Errorf("begin request: %w: this store keeps grades only", ErrUnavailable)
	}
	c := &request{store: s, name: s.keys.once(r.Tenant, r.Name()), tenant: r.Tenant, token: newToken()}
	most := 0
	if s.embedded != nil {
		most = mostOnces
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := beginScript.Run(limited, s.main, []string{c.name, s.keys.onces()}, r.Fingerprint, c.token, s.cfg.Lease.Milliseconds(), most).StringSlice()
	if err != nil {
		s.fault("begin request", err)
		return nil, nil, fmt.Errorf("begin request: %w: %w", ErrUnavailable, err)
	}
	switch {
	case len(found) == 3:
		return nil, &once.Reply{Cache: found[1], Body: []byte(found[2])}, nil
	case found[0] == "running":
		return nil, nil, once.ErrRunning
	case found[0] == "reused":
		return nil, nil, once.ErrReused
	}
	c.renew(ctx)
	return c, nil, nil
}

// request is a claim to answer a request.
type request struct {
	store               *Store
	name, tenant, token string
	stop                func()
}

// renew keeps the claim alive until stop.
func (c *request) renew(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(c.store.cfg.Lease / 3)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-c.store.ctx.Done():
				return
			case <-ticker.C:
			}
			limited, cancel := context.WithTimeout(ctx, c.store.cfg.Budget)
			held, err := renewOnceScript.Run(limited, c.store.main, []string{c.name}, c.token, c.store.cfg.Lease.Milliseconds()).Int()
			cancel()
			if err == nil && held == 0 {
				return
			}
		}
	})
	c.stop = func() {
		cancel()
		done.Wait()
	}
}

// Keep implements once.Claim.
func (c *request) Keep(ctx context.Context, reply once.Reply) error {
	c.stop()
	note := 0
	if reply.Subject != "" {
		note = 1
	}
	of := c.store.keys.oncesOf(grading.Key{Tenant: c.tenant, ID: reply.Subject})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err := keepReplyScript.Run(ctx, c.store.main, []string{c.name, of}, c.token, reply.Cache, reply.Body, once.Keep.Milliseconds(), note).Err()
	if err != nil {
		c.store.fault("keep reply", err)
		return fmt.Errorf("keep reply: %w: %w", ErrUnavailable, err)
	}
	return nil
}

// Release implements once.Claim. If it fails the claim runs out by itself.
func (c *request) Release(ctx context.Context) {
	c.stop()
	if err := c.drop(ctx, 0); err != nil {
		c.store.fault("release request", err)
	}
}

// Drop implements once.Claim.
func (c *request) Drop(ctx context.Context) error {
	c.stop()
	if err := c.drop(ctx, 1); err != nil {
		c.store.fault("drop reply", err)
		return fmt.Errorf("drop reply: %w: %w", ErrUnavailable, err)
	}
	return nil
}

func (c *request) drop(ctx context.Context, reply int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return dropOnceScript.Run(ctx, c.store.main, []string{c.name}, c.token, reply).Err()
}

// forgetReplies erases the replies that show a grade.
func (s *Store) forgetReplies(ctx context.Context, key grading.Key) error {
	if s.main == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	of := s.keys.oncesOf(key)
	names, err := s.main.SMembers(ctx, of).Result()
	if err == nil && len(names) > 0 {
		err = s.main.Del(ctx, append(names, of)...).Err()
	}
	if err != nil {
		s.fault("forget replies", err)
		return fmt.Errorf("forget replies: %w: %w", ErrUnavailable, err)
	}
	return nil
}

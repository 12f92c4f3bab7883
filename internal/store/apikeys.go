package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gradus-ai/gradus/internal/access"
)

var _ access.Store = (*Store)(nil)

// Fields of a stored key. The record never changes; what happens to a key
// stands beside it, so that noting a use cannot undo a revocation.
const (
	fieldKey     = "key"
	fieldDigest  = "digest"
	fieldRevoked = "revoked" // Unix milliseconds
	fieldUsed    = "used"    // Unix milliseconds
)

// ErrNoRedis is returned where keys would be stored in this process only, and
// so would open no door.
var ErrNoRedis = errors.New("stored keys need a Redis")

// CreateKey stores a key for all processes on the same Redis.
func (s *Store) CreateKey(ctx context.Context, key access.Key) error {
	if s.cfg.URL == "" {
		return ErrNoRedis
	}
	record, err := json.Marshal(key)
	if err != nil {
		return fmt.Errorf("encode key %s: %w", key.ID, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pipe := s.main.TxPipeline()
	pipe.HSet(ctx, s.keys.apiKey(key.ID), fieldKey, record, fieldDigest, hex.EncodeToString(key.Digest[:]))
	pipe.ZAdd(ctx, s.keys.apiKeys(), redis.Z{Score: float64(key.Created.UnixMilli()), Member: key.ID})
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("store key %s: %w: %w", key.ID, ErrUnavailable, err)
	}
	return nil
}

// FindKey implements access.Store. It takes one budget at most.
func (s *Store) FindKey(ctx context.Context, id string) (access.Key, error) {
	if s.cfg.URL == "" {
		return access.Key{}, access.ErrUnknown
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Budget)
	defer cancel()
	fields, err := s.main.HGetAll(ctx, s.keys.apiKey(id)).Result()
	switch {
	case err != nil:
		s.fault("find API key", err)
		return access.Key{}, fmt.Errorf("find key %s: %w: %w", id, ErrUnavailable, err)
	case len(fields) == 0:
		return access.Key{}, access.ErrUnknown
	}
	return decodeKey(id, fields)
}

// AnyKey implements access.Store.
func (s *Store) AnyKey(ctx context.Context) (bool, error) {
	if s.cfg.URL == "" {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	n, err := s.main.Exists(ctx, s.keys.apiKeys()).Result()
	if err != nil {
		s.fault("look for API keys", err)
		return false, fmt.Errorf("look for keys: %w: %w", ErrUnavailable, err)
	}
	return n > 0, nil
}

// Keys lists the stored keys, revoked ones included, the oldest first.
func (s *Store) Keys(ctx context.Context) ([]access.Key, error) {
	if s.cfg.URL == "" {
		return nil, ErrNoRedis
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ids, err := s.main.ZRange(ctx, s.keys.apiKeys(), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("list keys: %w: %w", ErrUnavailable, err)
	}
	found := make([]*redis.MapStringStringCmd, len(ids))
	pipe := s.main.Pipeline()
	for i, id := range ids {
		found[i] = pipe.HGetAll(ctx, s.keys.apiKey(id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("list keys: %w: %w", ErrUnavailable, err)
	}
	keys := make([]access.Key, 0, len(ids))
	for i, id := range ids {
		if len(found[i].Val()) == 0 {
			continue // somebody erased it by hand
		}
		key, err := decodeKey(id, found[i].Val())
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// revokeScript marks a stored key as revoked, unless it is already.
//
//	KEYS key
//	ARGV field, time
//	returns 1 revoked now, 0 revoked before, -1 no such key
var revokeScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then
  return -1
end
return redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
`)

// RevokeKey makes a stored key open nothing from now on, and keeps its record.
// It reports whether the key was valid until then, or access.ErrUnknown.
func (s *Store) RevokeKey(ctx context.Context, id string) (bool, error) {
	if s.cfg.URL == "" {
		return false, ErrNoRedis
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done, err := revokeScript.Run(ctx, s.main, []string{s.keys.apiKey(id)}, fieldRevoked, s.cfg.Now().UnixMilli()).Int()
	switch {
	case err != nil:
		return false, fmt.Errorf("revoke key %s: %w: %w", id, ErrUnavailable, err)
	case done < 0:
		return false, access.ErrUnknown
	}
	return done == 1, nil
}

// touchScript notes when a stored key was last used, unless it was erased.
//
//	KEYS key
//	ARGV field, time
var touchScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 1 and (tonumber(redis.call('HGET', KEYS[1], ARGV[1])) or 0) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return 0
`)

// TouchKeys implements access.Store.
func (s *Store) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	if s.cfg.URL == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for id, at := range used {
		if err := touchScript.Run(ctx, s.main, []string{s.keys.apiKey(id)}, fieldUsed, at.UnixMilli()).Err(); err != nil {
			s.fault("note use of API key", err)
			return fmt.Errorf("note use of key %s: %w: %w", id, ErrUnavailable, err)
		}
	}
	return nil
}

func decodeKey(id string, fields map[string]string) (access.Key, error) {
	var key access.Key
	err := json.Unmarshal([]byte(fields[fieldKey]), &key)
	digest, hexErr := hex.DecodeString(fields[fieldDigest])
	copy(key.Digest[:], digest)
	key.Revoked, key.LastUsed = instant(fields[fieldRevoked]), instant(fields[fieldUsed])
	unreadable := fields[fieldRevoked] != "" && key.Revoked.IsZero()
	if err != nil || hexErr != nil || len(digest) != len(key.Digest) || key.ID != id || unreadable {
		return access.Key{}, fmt.Errorf("read key %s: %w: its record is damaged", id, ErrUnavailable)
	}
	return key, nil
}

// instant is a time kept as Unix milliseconds; zero where there is none.
func instant(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

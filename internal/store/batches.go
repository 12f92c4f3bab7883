package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/judge"
)

var _ batch.Store = (*Batches)(nil)

const (
	// batchPatience is how long an operation on a batch may take: nobody waits
	// for it as for a grade, and giving up early would only make it be tried
	// again. The caller's context may end it sooner.
	batchPatience = 5 * time.Second
	// batchAttempt sets the limits of the connections (tuned) accordingly.
	batchAttempt = batchPatience / 4
)

// Batches is the record of batches, as batch.Store. It is safe for concurrent
// use. A Redis that does not answer is an error that wraps ErrUnavailable; what
// it did nevertheless may be done again without harm: nothing is counted twice.
//
// Each operation is one script, so that a crash of a process or of Redis leaves
// all of it or nothing. What it costs Redis does not grow with the batch, but
// for Commit, Chunks and Enqueued, which grow with the chunks.
type Batches struct {
	store *Store
	redis *redis.Client
	watch watch

	admission admission
}

// Batches returns the record of batches on the Redis at Config.URL, or in the
// embedded one, where it ends with the process. It is nil with MemoryOnly.
func (s *Store) Batches() *Batches { return s.batches }

func (s *Store) openBatches(c *redis.Client, err error) error {
	if err != nil {
		return err
	}
	s.batches = &Batches{store: s, redis: c}
	s.batches.watch.init(s.batches)
	return nil
}

func (b *Batches) client() *redis.Client {
	if b == nil {
		return nil
	}
	return b.redis
}

// limit gives an operation its time.
func (b *Batches) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, batchPatience)
}

// run runs a script on a batch.
func (b *Batches) run(ctx context.Context, what string, script *redis.Script, key batch.Key, args ...any) *redis.Cmd {
	return b.runKeys(ctx, what, script, key, b.store.keys.batch(key), args...)
}

func (b *Batches) runKeys(ctx context.Context, what string, script *redis.Script, key batch.Key, keys []string, args ...any) *redis.Cmd {
	limited, cancel := b.limit(ctx)
	defer cancel()
	cmd := script.Run(limited, b.redis, keys, args...)
	if err := cmd.Err(); err != nil {
		cmd.SetErr(b.failed(ctx, what, key, err))
	}
	return cmd
}

// failed is an error of Redis as a caller sees it. Redis repeats neither keys
// nor values.
func (b *Batches) failed(ctx context.Context, what string, key batch.Key, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s of batch %s: %w", what, key.ID, ctx.Err())
	}
	b.store.fault(what+" of batch", err)
	return fmt.Errorf("%s of batch %s: %w: %w", what, key.ID, ErrUnavailable, err)
}

// Get implements batch.Store.
func (b *Batches) Get(ctx context.Context, key batch.Key) (*batch.Batch, error) {
	limited, cancel := b.limit(ctx)
	defer cancel()
	fields, err := b.redis.HGetAll(limited, b.store.keys.batch(key)[0]).Result()
	if err != nil {
		return nil, b.failed(ctx, "reading", key, err)
	}
	return decodeBatch(key, fields)
}

// Cancel implements batch.Store.
func (b *Batches) Cancel(ctx context.Context, key batch.Key) (*batch.Batch, error) {
	reply, err := b.run(ctx, "cancelling", cancelScript, key, b.retention()).Slice()
	if err != nil {
		return nil, err
	}
	b.watch.kick(key)
	rec, err := decodeBatch(key, fieldsOf(reply))
	if err != nil {
		return nil, err
	}
	return rec, b.settle(ctx, "cancelling", key)
}

// Purge implements batch.Store.
func (b *Batches) Purge(ctx context.Context, key batch.Key) error {
	done, err := b.run(ctx, "purging", purgeScript, key, key.ID).Int()
	if err != nil {
		return err
	}
	b.watch.kick(key)
	switch done {
	case 0:
		return batch.ErrNotFound
	case 1:
		return b.settle(ctx, "purging", key)
	default:
		return batch.ErrNotOver
	}
}

// Pause implements batch.Store.
func (b *Batches) Pause(ctx context.Context, key batch.Key, reason string) error {
	return b.pause(ctx, "pausing", key, 1, reason)
}

// Resume implements batch.Store.
func (b *Batches) Resume(ctx context.Context, key batch.Key) error {
	return b.pause(ctx, "resuming", key, 0, "")
}

func (b *Batches) pause(ctx context.Context, what string, key batch.Key, pause int, reason string) error {
	found, err := b.run(ctx, what, pauseScript, key, pause, reason).Int()
	if err != nil {
		return err
	}
	if found == 0 {
		return batch.ErrNotFound
	}
	b.watch.kick(key)
	return nil
}

// Active implements batch.Store.
func (b *Batches) Active(ctx context.Context) ([]batch.Key, error) {
	return b.list(ctx, "listing active batches", b.store.keys.batches())
}

// Notices implements batch.Store.
func (b *Batches) Notices(ctx context.Context) ([]batch.Key, error) {
	return b.list(ctx, "listing notices", b.store.keys.notices())
}

func (b *Batches) list(ctx context.Context, what, name string) ([]batch.Key, error) {
	limited, cancel := b.limit(ctx)
	defer cancel()
	members, err := b.redis.ZRange(limited, name, 0, -1).Result()
	if err != nil {
		return nil, b.unlisted(ctx, what, err)
	}
	keys := make([]batch.Key, 0, len(members))
	for _, text := range members {
		if key, ok := memberKey(text); ok {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// unlisted is failed where no single batch is concerned.
func (b *Batches) unlisted(ctx context.Context, what string, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	b.store.fault(what, err)
	return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
}

// Noticed implements batch.Store.
func (b *Batches) Noticed(ctx context.Context, key batch.Key) error {
	limited, cancel := b.limit(ctx)
	defer cancel()
	if err := b.redis.ZRem(limited, b.store.keys.notices(), member(key)).Err(); err != nil {
		return b.failed(ctx, "noting the notice", key, err)
	}
	return nil
}

// Lead implements batch.Store.
func (b *Batches) Lead(ctx context.Context, name, process string, lease time.Duration) (bool, error) {
	limited, cancel := b.limit(ctx)
	defer cancel()
	led, err := leadScript.Run(limited, b.redis, []string{b.store.keys.lead(name)}, process, lease.Milliseconds()).Int()
	if err != nil {
		return false, b.unlisted(ctx, "leading "+name, err)
	}
	return led == 1, nil
}

func (b *Batches) retention() int64 { return b.store.cfg.Retention.Milliseconds() }

// Fields of a batch. Those that are not counters never change.
const (
	fieldStatus   = "status"
	fieldReason   = "reason"
	fieldTotal    = "total"
	fieldChunks   = "chunks"
	fieldDurable  = "durable"
	fieldMixed    = "mixed"
	fieldMade     = "made"
	fieldOptions  = "options"
	fieldCreated  = "created"  // Unix milliseconds
	fieldFinished = "finished" // Unix milliseconds
	fieldVersion  = "version"
	fieldNotice   = "notice" // 1 when somebody is to be told of the end
	fieldMember   = "member" // its name in the lists
)

// batchFields are the fields of a batch as it begins, with their values.
func batchFields(b *batch.Batch) ([]any, error) {
	options, err := json.Marshal(b.Options)
	if err != nil {
		return nil, fmt.Errorf("encode options: %w", err)
	}
	made, err := json.Marshal(b.Made)
	if err != nil {
		return nil, fmt.Errorf("encode versions: %w", err)
	}
	return []any{
		fieldStatus, string(batch.Queued), fieldReason, "",
		fieldTotal, b.Total, "graded", b.Graded, "needs_review", b.NeedsReview, "failed", b.Failed, "cancelled", b.Cancelled,
		"cached", b.Cached, fieldChunks, b.Chunks, fieldDurable, bit(b.Durable), fieldMixed, bit(b.Mixed),
		fieldOptions, options, fieldMade, made,
		fieldNotice, bit(b.Options.WebhookURL != ""), fieldMember, member(b.Key),
	}, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// decodeBatch reads a batch; no fields are batch.ErrNotFound.
func decodeBatch(key batch.Key, fields map[string]string) (*batch.Batch, error) {
	if len(fields) == 0 {
		return nil, batch.ErrNotFound
	}
	fault := false
	number := func(name string) int {
		n, err := strconv.ParseInt(orZero(fields[name]), 10, 64)
		fault = fault || err != nil
		return int(n)
	}
	usage := func(name string) judge.Usage {
		u := judge.Usage{Calls: number(name + "_calls"), PromptTokens: number(name + "_prompt"),
			CachedTokens: number(name + "_cached"), CompletionTokens: number(name + "_completion")}
		if text := fields[name+"_cost"]; text != "" && number(name+"_unpriced") == 0 {
			cost, err := strconv.ParseFloat(text, 64)
			fault = fault || err != nil
			u.CostUSD = &cost
		}
		return u
	}
	b := &batch.Batch{
		Key:          key,
		Status:       batch.Status(fields[fieldStatus]),
		PausedReason: fields[fieldReason],
		Total:        number(fieldTotal),
		Graded:       number("graded"),
		NeedsReview:  number("needs_review"),
		Failed:       number("failed"),
		Cancelled:    number("cancelled"),
		Cached:       number("cached"),
		Chunks:       number(fieldChunks),
		Durable:      fields[fieldDurable] == "1",
		Mixed:        fields[fieldMixed] == "1",
		CreatedAt:    time.UnixMilli(int64(number(fieldCreated))).UTC(),
		Spent:        usage("spent"),
		Saved:        usage("saved"),
		Version:      int64(number(fieldVersion)),
	}
	if fields[fieldFinished] != "" {
		at := time.UnixMilli(int64(number(fieldFinished))).UTC()
		b.FinishedAt = &at
	}
	err := errors.Join(json.Unmarshal([]byte(fields[fieldOptions]), &b.Options), json.Unmarshal([]byte(fields[fieldMade]), &b.Made))
	if err != nil || fault || b.Status == "" {
		return nil, fmt.Errorf("read batch %s: %w", key.ID, ErrDamaged)
	}
	return b, nil
}

func orZero(text string) string {
	if text == "" {
		return "0"
	}
	return text
}

const (
	// mostCounted bounds what one result may add to a sum, so that sums of
	// MaxItems of them do not overflow whatever a model claims.
	mostCounted = 1 << 40
	mostDollars = 1e9
)

// usageArgs are what one result adds to the sums (completeScript).
func usageArgs(u judge.Usage) []any {
	cost, unpriced := "", 0
	switch {
	case u.CostUSD != nil && *u.CostUSD >= 0 && *u.CostUSD <= mostDollars:
		// Redis adds decimals up without the error of binary ones.
		cost = strconv.FormatFloat(*u.CostUSD, 'f', -1, 64)
	case u.CostUSD != nil || u.Calls > 0:
		unpriced = 1
	}
	bounded := func(n int) int { return int(min(max(int64(n), 0), int64(mostCounted))) }
	return []any{bounded(u.Calls), bounded(u.PromptTokens), bounded(u.CachedTokens), bounded(u.CompletionTokens), cost, unpriced}
}

// fieldsOf are the fields of a hash in a script's reply.
func fieldsOf(reply []any) map[string]string {
	fields := make(map[string]string, len(reply)/2)
	for i := 0; i+1 < len(reply); i += 2 {
		fields[textOf(reply[i])] = textOf(reply[i+1])
	}
	return fields
}

// textOf and numberOf read one value of a script's reply.
func textOf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	default:
		return ""
	}
}

func numberOf(value any) int64 {
	n, err := strconv.ParseInt(textOf(value), 10, 64)
	if err != nil {
		return math.MinInt64
	}
	return n
}

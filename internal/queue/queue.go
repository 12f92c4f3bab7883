// Package queue brings chunks of batches, and notices that batches are over, to
// whoever works on them, by asynq over Redis.
//
// It only translates: names, payloads, delays. What was asked for, what is done
// and what failed is written elsewhere; a queue that loses, repeats or archives
// a task does no harm that the keeper of the batches does not find. It is the
// only package that knows asynq.
package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/gradus-ai/gradus/internal/batch"
)

// Names of the types of task. They are in Redis, where other versions of this
// program read them.
const (
	chunkTask  = "chunk"
	noticeTask = "notice"
)

// payloadVersion is the version of the payloads below. A worker that meets a
// newer one leaves the task to workers that know it.
const payloadVersion = 1

type payload struct {
	Version int    `json:"v"`
	Tenant  string `json:"tenant"`
	Batch   string `json:"batch"`
	Chunk   int    `json:"chunk,omitempty"`
	Gen     int64  `json:"gen,omitempty"`
}

func (p payload) ref() batch.Ref {
	return batch.Ref{Key: batch.Key{Tenant: p.Tenant, ID: p.Batch}, Chunk: p.Chunk, Gen: p.Gen}
}

// manyRetries stands for no limit: who gives up is not the queue's to decide,
// for it would put the task into an archive that forgets.
const manyRetries = 1 << 30

// taskTimeout is asynq's own limit on a handler, far above any that has a use.
const taskTimeout = 24 * time.Hour

// Config is what a Queue is made of.
type Config struct {
	// Client is a connection to the Redis of the batches. The caller closes it.
	Client redis.UniversalClient
	// Name begins the names of the queues in Redis; all processes that share
	// work use the same.
	Name string
	// Shards is over how many queues batches are spread, for their beginnings and
	// again for the rest of large ones. Each gets its turn, so that a large batch
	// does not hold up every other. All processes that share work use the same
	// number. Default 4.
	Shards int
	Log    *slog.Logger
}

const defaultShards = 4

// beginning is how many chunks of a batch stand in one line with those of other
// batches, about a thousand answers: so many may be ahead of a small batch for
// each larger one that has the same queue, and never all of a large one.
const beginning = 64

// Queue is the sending side; it implements batch.Queue. It is safe for
// concurrent use.
type Queue struct {
	cfg       Config
	client    *asynq.Client
	inspector *asynq.Inspector
}

var _ batch.Queue = (*Queue)(nil)

// New makes a Queue. It does not talk to Redis yet.
func New(cfg Config) *Queue {
	if cfg.Shards <= 0 {
		cfg.Shards = defaultShards
	}
	return &Queue{
		cfg:       cfg,
		client:    asynq.NewClientFromRedisClient(cfg.Client),
		inspector: asynq.NewInspectorFromRedisClient(cfg.Client),
	}
}

// Enqueue hands out work. A ref that is queued already is not an error.
func (q *Queue) Enqueue(ctx context.Context, refs ...batch.Ref) error {
	return q.EnqueueAfter(ctx, 0, refs...)
}

// EnqueueAfter hands out work that nobody may begin before a delay has passed.
func (q *Queue) EnqueueAfter(ctx context.Context, delay time.Duration, refs ...batch.Ref) error {
	for _, ref := range refs {
		body, err := json.Marshal(payload{payloadVersion, ref.Tenant, ref.ID, ref.Chunk, ref.Gen})
		if err != nil {
			return fmt.Errorf("enqueue chunk %d of %s: %w", ref.Chunk, ref.ID, err)
		}
		if err := q.send(ctx, chunkTask, body, taskID(ref), q.shard(ref), delay); err != nil {
			return fmt.Errorf("enqueue chunk %d of %s: %w", ref.Chunk, ref.ID, err)
		}
	}
	return nil
}

// Notify hands out the notice that a batch is over. Handing it out again while
// it is under way is not an error.
func (q *Queue) Notify(ctx context.Context, key batch.Key) error {
	body, err := json.Marshal(payload{Version: payloadVersion, Tenant: key.Tenant, Batch: key.ID})
	if err == nil {
		err = q.send(ctx, noticeTask, body, key.ID+":notice", q.notices(), 0)
	}
	if err != nil {
		return fmt.Errorf("enqueue the notice of %s: %w", key.ID, err)
	}
	return nil
}

func (q *Queue) send(ctx context.Context, kind string, body []byte, id, queue string, delay time.Duration) error {
	options := []asynq.Option{asynq.TaskID(id), asynq.Queue(queue), asynq.MaxRetry(manyRetries), asynq.Timeout(taskTimeout)}
	if delay > 0 {
		options = append(options, asynq.ProcessIn(delay))
	}
	_, err := q.client.EnqueueContext(ctx, asynq.NewTask(kind, body), options...)
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return err
}

// Known reports whether the queue will still deliver the ref.
func (q *Queue) Known(ctx context.Context, ref batch.Ref) (bool, error) {
	if err := ctx.Err(); err != nil { // the inspector takes no context
		return false, err
	}
	info, err := q.inspector.GetTaskInfo(q.shard(ref), taskID(ref))
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for chunk %d of %s in the queue: %w", ref.Chunk, ref.ID, err)
	}
	switch info.State {
	case asynq.TaskStatePending, asynq.TaskStateScheduled, asynq.TaskStateRetry:
		return true, nil
	default:
		// Archived and completed tasks are over. An active one is either about to
		// claim its chunk, and then loses nothing when the chunk is handed out
		// again, or has no worker and no lease any more, and then asynq never
		// finds it.
		return false, nil
	}
}

// deliveredPage is how many tasks one question to asynq returns at most.
const deliveredPage = 100

// Delivered lists the chunks that asynq gave to a worker and did not hear of
// since. It forgets those of a dead worker after 30 seconds at the earliest.
func (q *Queue) Delivered(ctx context.Context) ([]batch.Ref, error) {
	var refs []batch.Ref
	for _, name := range q.chunks() {
		for page := 1; ; page++ {
			if err := ctx.Err(); err != nil { // the inspector takes no context
				return nil, err
			}
			tasks, err := q.inspector.ListActiveTasks(name, asynq.PageSize(deliveredPage), asynq.Page(page))
			if errors.Is(err, asynq.ErrQueueNotFound) { // nothing was ever put into it
				break
			}
			if err != nil {
				return nil, fmt.Errorf("list what is being worked on in queue %s: %w", name, err)
			}
			for _, task := range tasks {
				if p, err := decode(task.Payload); err == nil && task.Type == chunkTask {
					refs = append(refs, p.ref())
				}
			}
			if len(tasks) < deliveredPage {
				break
			}
		}
	}
	return refs, nil
}

// Drop takes refs that were not delivered yet out of the queue. One that is
// being worked on stays.
func (q *Queue) Drop(ctx context.Context, refs ...batch.Ref) error {
	for _, ref := range refs {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := q.inspector.DeleteTask(q.shard(ref), taskID(ref))
		if err != nil && !errors.Is(err, asynq.ErrTaskNotFound) && !errors.Is(err, asynq.ErrQueueNotFound) && !active(err) {
			return fmt.Errorf("take chunk %d of %s out of the queue: %w", ref.Chunk, ref.ID, err)
		}
	}
	return nil
}

// Depth is how many chunks wait, and how many are being worked on, in all
// processes.
func (q *Queue) Depth(ctx context.Context) (waiting, active int, err error) {
	used, err := q.inspector.Queues()
	if err != nil {
		return 0, 0, fmt.Errorf("list queues: %w", err)
	}
	for _, name := range q.chunks() {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		if !slices.Contains(used, name) { // of one that was never used asynq knows no length
			continue
		}
		info, err := q.inspector.GetQueueInfo(name)
		if err != nil {
			return 0, 0, fmt.Errorf("look at queue %s: %w", name, err)
		}
		waiting += info.Pending + info.Scheduled + info.Retry
		active += info.Active
	}
	return waiting, active, nil
}

// active reports whether asynq refused to touch a task because it is being
// worked on; it has no error of its own for that.
func active(err error) bool { return strings.Contains(err.Error(), "active state") }

// taskID is the same for the same handing out of a chunk, so that it cannot be
// queued twice.
func taskID(ref batch.Ref) string {
	return ref.ID + ":" + strconv.Itoa(ref.Chunk) + ":" + strconv.FormatInt(ref.Gen, 10)
}

// shard is the queue of a chunk: half of the choice is its tenant's, so that many
// batches of one tenant leave queues to others, and half its batch's, so that a
// batch need not stand behind all others of the same tenant.
func (q *Queue) shard(ref batch.Ref) string {
	n := q.cfg.Shards
	own := max(1, n/2)
	others := max(1, n/own)
	i := int(hash(ref.Tenant)%uint32(others))*own + int(hash(ref.ID)%uint32(own))
	return q.shardName(i, ref.Chunk >= beginning)
}

func hash(s string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s)) // a hash takes everything
	return h.Sum32()
}

func (q *Queue) shardName(i int, rest bool) string {
	name := q.cfg.Name + ":chunks:" + strconv.Itoa(i)
	if rest {
		name += ":rest"
	}
	return name
}

func (q *Queue) notices() string { return q.cfg.Name + ":notices" }

// beginnings are the queues of the first chunks of batches, rests those of the
// others.
func (q *Queue) beginnings() []string { return q.shards(false) }
func (q *Queue) rests() []string      { return q.shards(true) }
func (q *Queue) chunks() []string     { return append(q.beginnings(), q.rests()...) }

func (q *Queue) shards(rest bool) []string {
	names := make([]string, q.cfg.Shards)
	for i := range names {
		names[i] = q.shardName(i, rest)
	}
	return names
}

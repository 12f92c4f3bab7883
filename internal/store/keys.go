package store

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
)

// keyspace names every key and channel in Redis. It is the prefix they share.
//
//	PREFIX grade:TENANT:ID    string  an entry (entry.go); expires with the retention
//	PREFIX replies:TENANT:ID  string  the raw replies behind it; expires with it
//	PREFIX lock:TENANT:ID     string  the token of whoever is computing it; expires with the lease
//	PREFIX secret             string  32 random bytes; kept for good
//	PREFIX apikey:ID          hash    an API key (apikeys.go); kept for good, revoked ones too
//	PREFIX apikeys            zset    the ids of all API keys, by when they were made
//	PREFIX rate:ID            hash    requests of a key in this window (quotas.go); expires with the next
//	PREFIX slots:ID           hash    requests a key may have in flight, by process; expires in seconds
//	PREFIX tokens:ID:DAY      string  tokens that a key spent on a day; expires in two days
//	PREFIX once:TENANT:NAME   hash    a request that must happen once (once.go): its fingerprint, then its reply; expires in a day
//	PREFIX onces              list    their names in a store inside this process, to bound it
//	PREFIX oncesof:TENANT:ID  set     the names of requests whose reply shows a grade; expires in a day
//	PREFIX batch:TENANT:ID    hash    a batch, its counters and its version (batches.go); kept while it runs, then for the retention
//	PREFIX rows:TENANT:ID     hash    its items by index: the id, later the result; expires with it
//	PREFIX chunks:TENANT:ID   hash    its chunks that are not done: who has them (batches_work.go); gone when it is over
//	PREFIX input:TENANT:ID    hash    its questions, and the answers of those chunks; gone when it is over
//	PREFIX batches            zset    the batches that are not over, by when they were made
//	PREFIX notices            zset    the batches whose submitter is to be told, by when they ended
//	PREFIX submission:TENANT:DIGEST  hash  who holds an idempotency key for a minute, or its batch for a day
//	PREFIX lineage            string  made up by who comes first, to notice a Redis that came back empty; kept for good
//	PREFIX lead:NAME          string  the process that leads; expires with its lease
//	PREFIX probe:ORIGIN       string  written by Health; expires in seconds
//	PREFIX events             channel what happened to which grade (events.go)
//
// Tenant and id are escaped, so that no tenant's name can run into another's.
type keyspace string

func (k keyspace) grade(key grading.Key) string   { return k.owned("grade:", key) }
func (k keyspace) replies(key grading.Key) string { return k.owned("replies:", key) }
func (k keyspace) lock(key grading.Key) string    { return k.owned("lock:", key) }
func (k keyspace) secret() string                 { return string(k) + "secret" }
func (k keyspace) apiKey(id string) string        { return string(k) + "apikey:" + escape(id) }
func (k keyspace) apiKeys() string                { return string(k) + "apikeys" }
func (k keyspace) rate(id string) string          { return string(k) + "rate:" + escape(id) }
func (k keyspace) slots(id string) string         { return string(k) + "slots:" + escape(id) }
func (k keyspace) tokens(id, day string) string {
	return string(k) + "tokens:" + escape(id) + ":" + escape(day)
}
func (k keyspace) onces() string { return string(k) + "onces" }
func (k keyspace) once(tenant, name string) string {
	return string(k) + "once:" + escape(tenant) + ":" + escape(name)
}
func (k keyspace) oncesOf(key grading.Key) string { return k.owned("oncesof:", key) }
func (k keyspace) probe(origin string) string     { return string(k) + "probe:" + origin }
func (k keyspace) events() string                 { return string(k) + "events" }

func (k keyspace) lead(name string) string { return string(k) + "lead:" + escape(name) }

// batch are the keys of one batch and the lists it stands in, in the order in
// which every script on batches takes them.
func (k keyspace) batch(key batch.Key) []string {
	owner := escape(key.Tenant) + ":" + escape(key.ID)
	return []string{
		string(k) + "batch:" + owner,
		string(k) + "chunks:" + owner,
		string(k) + "input:" + owner,
		string(k) + "rows:" + owner,
		k.batches(),
		k.notices(),
	}
}

// rowsOfAll is a pattern for the rows of every batch. The prefix is the caller's
// and no pattern.
func (k keyspace) rowsOfAll() string {
	return globber.Replace(string(k)) + "rows:*"
}

var globber = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`)

func (k keyspace) lineage() string { return string(k) + "lineage" }
func (k keyspace) batches() string { return string(k) + "batches" }
func (k keyspace) notices() string { return string(k) + "notices" }

// submission is where an idempotency key of a batch stands: hashed, since a
// submitter may put anything into it, and apart from those of other routes.
func (k keyspace) submission(tenant, key string) string {
	sum := sha256.Sum256([]byte("batches " + key))
	return string(k) + "submission:" + escape(tenant) + ":" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// names are the keys of one grade.
type names struct{ grade, replies, lock string }

func (s *Store) names(key grading.Key) names {
	return names{s.keys.grade(key), s.keys.replies(key), s.keys.lock(key)}
}

func (k keyspace) owned(kind string, key grading.Key) string {
	return string(k) + kind + escape(key.Tenant) + ":" + escape(key.ID)
}

var escaper = strings.NewReplacer("%", "%25", ":", "%3A")

func escape(s string) string {
	if !strings.ContainsAny(s, "%:") {
		return s
	}
	return escaper.Replace(s)
}

var unescaper = strings.NewReplacer("%25", "%", "%3A", ":")

func unescape(s string) string { return unescaper.Replace(s) }

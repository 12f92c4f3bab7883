package main_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// proofs names the test that plays each fault which batches, the model or Redis
// can meet, or says why none does. TestLedger plays many of them at once, at
// moments of chance.
var proofs = []struct {
	fault string
	tests []string
	why   string // there is no test, or not of all of it
}{
	{fault: "a service dies after 202", tests: []string{"TestABatchOutlivesTheServiceThatAcceptedIt"}},
	{fault: "a service dies before 202", tests: []string{"TestABatchIsAcceptedWholeOrNotAtAll"}},
	{fault: "a worker dies in a call", tests: []string{"TestTheWorkOfAKilledProcessIsDoneWithinTwentySeconds", "TestTheChunksOfADeadWorkerRunAgainSoon"}},
	{fault: "a worker dies before it says done", tests: []string{"TestWorkThatIsBroughtAgainIsDone"}},
	{fault: "an answer kills whoever grades it", tests: []string{"TestAnAnswerThatKillsProcessesFailsAlone", "TestAnAnswerThatKillsWorkersIsFound"}},
	{fault: "a keeper dies", tests: []string{"TestABatchThatIsResumedOutlivesItsKeeper", "TestLedger"}},
	{fault: "Redis dies", tests: []string{"TestNothingAcknowledgedIsLostWhenRedisDies", "TestWorkGoesOnAfterRedisWasAway", "TestLedger"}},
	{fault: "Redis comes back empty", tests: []string{"TestARedisThatComesBackEmptyIsNoticed"}},
	{fault: "Redis is loading its data", tests: []string{"TestARedisThatIsDeadAtTheStartIsWaitedForWhileServing", "TestWorkGoesOnAfterRedisWasAway"},
		why: "it refuses every command, which for all but the words in /readyz is a Redis that is not there yet"},
	{fault: "Redis is full", tests: []string{"TestAFullRedisRefusesBatchesAndEndsThoseItHas", "TestAdmissionEndsBeforeMemoryDoes"}},
	{fault: "Redis evicts", tests: []string{"TestARedisThatLosesThingsIsNamedAtOnce", "TestBatchesAreAdmittedWhereTheyAreKept"}},
	{fault: "Redis is slow", tests: []string{"TestASlowNetworkSlowsOnlyWithinTheBudget", "TestLedger"}},
	{fault: "Redis is a black hole", tests: []string{"TestABlackHoleIsSkipped", "TestARedisThatHangsIsAnErrorInTime", "TestLedger"}},
	{fault: "connections are reset", tests: []string{"TestALostReplyDoesNotDoubleAnything", "TestLedger"}},
	{fault: "the disk under Redis fails", tests: []string{"TestARedisWhoseDiskFailsTakesNoBatchAndShowsThoseItHas"}},
	{fault: "the disk under the service is full", tests: []string{"TestMemoryStaysFlat"}, why: "uploads never touch a disk"},
	{fault: "failover to a replica", why: "nothing is promised about it: what had not been replicated is lost, as the README says"},
	{fault: "all connections to Redis are in use", tests: []string{"TestARedisThatHangsIsAnErrorInTime"}, why: "waiting for one counts against the same limit as waiting for an answer"},
	{fault: "a task lost its worker or record", tests: []string{"TestWhatTheQueueHasLostIsHandedOutAgain", "TestTheQueueKnowsWhatItWillStillDeliver"}},
	{fault: "the queue's archive overflows", tests: []string{"TestAnOutageFailsNothing"}, why: "nothing is put there: a task has no limit of tries, and what failed is a result like any other"},
	{fault: "429 with Retry-After", tests: []string{"TestRetryAfterIsHonoured", "TestRetryAfterSpellings"}},
	{fault: "quota spent, or key revoked", tests: []string{"TestABatchWaitsForAKeyThatWorks", "TestABatchIsPausedAndGoesOn"}},
	{fault: "500s, hangs, cut and strange replies", tests: []string{"TestEveryFaultOfTheModel", "TestAModelThatHangsUsesUpNoTries", "TestLedger"}},
	{fault: "every provider is down", tests: []string{"TestBothProvidersDownForTenMinutes", "TestAnOutageFailsNothing"}},
	{fault: "a provider leaves a batch of its own unanswered", tests: []string{"TestProviderBatchThatExpiresIsFinishedLive", "TestProviderBatchIsNotMadeTwice"}},
	{fault: "a client goes in the middle", tests: []string{"TestAClientThatGoesInTheMiddleLeavesNothing", "TestWhoeverLeavesLeavesNothingBehind"}},
	{fault: "a batch is submitted again", tests: []string{"TestFiftySubmissionsWithOneKeyMakeOneBatch", "TestLedger"}},
	{fault: "an idempotency key comes with another body, or of another tenant", tests: []string{"TestSubmissionsWithAKeyAreAcceptedOnce", "TestNothingOfOneTenantShowsToAnother"}},
	{fault: "an id comes twice", tests: []string{"TestBadUploadsAreRefusedWhole", "TestFaults"}},
	{fault: "a body without end, or compressed", tests: []string{"TestUploadsAreBounded", "TestOptionsReachTheBatch", "TestAClientThatSendsOnIsStillAnswered"}},
	{fault: "slow headers, bodies and readers", tests: []string{"TestAStalledUploadIsCutOffAndASlowOneIsNot"}},
	{fault: "one line of thousands is at fault", tests: []string{"TestALineOfThousandsIsNamed"}},
	{fault: "strange CSV, deep JSON, text that is not UTF-8", tests: []string{"TestTheSameAnswersInEveryFormat", "TestFaults", "FuzzReader"}},
	{fault: "the clock of a worker is wrong", tests: []string{"TestHealthNoticesClocksThatDiffer", "TestAWorkerThatWasPassedOverKeepsNothing"}},
	{fault: "a clock jumps back", why: "leases and ages go by the clock of Redis, waits by the monotonic one"},
	{fault: "SIGTERM, twice; a rolling deployment", tests: []string{"TestARollingDeploymentLosesNothingAndSaysThatItMixed", "TestDrainingLosesNothing"}},
	{fault: "a payload of a newer version", tests: []string{"TestAPayloadOfANewerVersionIsLeftToNewerWorkers", "TestAQuestionOfANewerVersionIsLeftToOthers"}},
	{fault: "the cache is poisoned", tests: []string{"TestGarbageInTheCacheIsAMissAndGetsReplaced", "TestASpoiltEntryIsAMissThatGetsReplaced"}},
	{fault: "two tenants give the same answer", tests: []string{"TestTenantsShareNothing"}},
	{fault: "a failure would be kept as a grade", tests: []string{"TestEveryFaultOfTheModel", "TestErrorsAndUnkeptGradesAreSharedWithThoseWhoWait"}},
	{fault: "one tenant's large batch is before another's small one", tests: []string{"TestASmallBatchDoesNotStandBehindAllOfALargeOne"}},
	{fault: "a receiver of notices is down", tests: []string{"TestWhatAReceiverAnswersDecidesWhetherToComeAgain", "TestASlowReceiverKeepsNobodyElseWaiting"}},
	{fault: "a notice is led to a private address", tests: []string{"TestNoPrivateAddressIsEverCalled", "TestAddressesThatCanNeverBeUsedAreRefusedAtOnce"}},
	{fault: "a notice is forged or replayed", tests: []string{"TestAReceiverCanVerifyWithEitherSecretAndRefusesWhatWasChanged"}},
}

// TestEveryFaultHasItsProof keeps the list above from naming tests that have
// gone.
func TestEveryFaultHasItsProof(t *testing.T) {
	t.Parallel()
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	found := map[string]bool{}
	root := os.DirFS("../..")
	require.NoError(t, fs.WalkDir(root, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		raw, err := fs.ReadFile(root, name)
		for _, match := range declared.FindAllSubmatch(raw, -1) {
			found[string(match[1])] = true
		}
		return err
	}))
	for _, p := range proofs {
		require.True(t, len(p.tests) > 0 || p.why != "", p.fault)
		for _, name := range p.tests {
			require.True(t, found[name], "%s: there is no %s", p.fault, name)
		}
	}
}

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
// can meet. TestLedger plays many of them at once, at moments of chance.
var proofs = map[string][]string{
	"a service dies after 202":             {"TestABatchOutlivesTheServiceThatAcceptedIt"},
	"a service dies before 202":            {"TestABatchIsAcceptedWholeOrNotAtAll"},
	"a worker dies in a call":              {"TestTheWorkOfAKilledProcessIsDoneWithinTwentySeconds", "TestTheChunksOfADeadWorkerRunAgainSoon"},
	"a worker dies before it says done":    {"TestWorkThatIsBroughtAgainIsDone"},
	"an answer kills whoever grades it":    {"TestAnAnswerThatKillsProcessesFailsAlone", "TestAnAnswerThatKillsWorkersIsFound"},
	"Redis dies":                           {"TestNothingAcknowledgedIsLostWhenRedisDies", "TestWorkGoesOnAfterRedisWasAway", "TestLedger"},
	"Redis comes back empty":               {"TestARedisThatComesBackEmptyIsNoticed"},
	"Redis is full":                        {"TestAFullRedisRefusesBatchesAndEndsThoseItHas", "TestAdmissionEndsBeforeMemoryDoes"},
	"Redis evicts":                         {"TestARedisThatLosesThingsIsNamedAtOnce", "TestBatchesAreAdmittedWhereTheyAreKept"},
	"Redis is slow":                        {"TestASlowNetworkSlowsOnlyWithinTheBudget", "TestLedger"},
	"Redis is a black hole":                {"TestABlackHoleIsSkipped", "TestARedisThatHangsIsAnErrorInTime", "TestLedger"},
	"connections are reset":                {"TestALostReplyDoesNotDoubleAnything", "TestLedger"},
	"a task lost its worker or record":     {"TestWhatTheQueueHasLostIsHandedOutAgain", "TestTheQueueKnowsWhatItWillStillDeliver"},
	"429 with Retry-After":                 {"TestRetryAfterIsHonoured", "TestRetryAfterSpellings"},
	"quota spent, or key revoked":          {"TestABatchWaitsForAKeyThatWorks", "TestABatchIsPausedAndGoesOn"},
	"500s, hangs, cut and strange replies": {"TestEveryFaultOfTheModel", "TestAModelThatHangsUsesUpNoTries", "TestLedger"},
	"every provider is down":               {"TestBothProvidersDownForTenMinutes", "TestAnOutageFailsNothing"},
	"a batch is submitted again":           {"TestFiftySubmissionsWithOneKeyMakeOneBatch", "TestLedger"},
	"the clock of a worker is wrong":       {"TestHealthNoticesClocksThatDiffer", "TestAWorkerThatWasPassedOverKeepsNothing"},
	"SIGTERM, twice; a rolling deployment": {"TestARollingDeploymentLosesNothingAndSaysThatItMixed", "TestDrainingLosesNothing"},
	"a payload of a newer version":         {"TestAPayloadOfANewerVersionIsLeftToNewerWorkers", "TestAQuestionOfANewerVersionIsLeftToOthers"},
	"a receiver of notices is down":        {"TestWhatAReceiverAnswersDecidesWhetherToComeAgain", "TestASlowReceiverKeepsNobodyElseWaiting"},
	"a notice is led to a private address": {"TestNoPrivateAddressIsEverCalled"},
	"a notice is forged or replayed":       {"TestAReceiverCanVerifyWithEitherSecretAndRefusesWhatWasChanged"},
}

// TestEveryFaultHasItsProof keeps the list above from naming tests that have
// gone.
func TestEveryFaultHasItsProof(t *testing.T) {
	t.Parallel()
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
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
	for fault, tests := range proofs {
		for _, name := range tests {
			require.True(t, found[name], "%s: there is no %s", fault, name)
		}
	}
}

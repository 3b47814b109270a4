"""The size of a model, counted by hand."""

from models.cores import CoreConfig, make_core
from models.encoders import EncoderConfig
from models.policy import Policy
from models.sequence_model import SequenceModel, SequenceModelConfig
from models.size import model_size

HIDDEN = 8
GRU = CoreConfig(kind="gru", hidden_size=HIDDEN)
STATE_BYTES = 4 * HIDDEN  # float32


def gru(inputs):
    """Returns the parameters of three gates, each with two biases."""
    return 3 * HIDDEN * (inputs + HIDDEN + 2)


def test_a_core_alone_has_all_of_the_parameters():
    sizes = {"parameters": gru(5), "core_parameters": gru(5), "state_bytes": STATE_BYTES}
    assert model_size(make_core(GRU, 5)) == sizes


def test_a_model_of_sequences_has_an_embedding_and_an_output_too():
    model = SequenceModel(11, 7, SequenceModelConfig(embedding_size=5), GRU)
    around = 11 * 5 + 7 * (HIDDEN + 1)
    assert model_size(model) == {
        "parameters": gru(5) + around,
        "core_parameters": gru(5),
        "state_bytes": STATE_BYTES,
    }


def test_a_policy_has_an_encoder_and_two_heads_too():
    policy = Policy((9,), "float32", 6, EncoderConfig(kind="mlp", size=16), GRU)
    size = model_size(policy)
    inputs = 16 + 1  # and the last reward
    around = sum(p.numel() for p in policy.encoder.parameters()) + (6 + 1) * (HIDDEN + 1)
    assert size["core_parameters"] == gru(inputs)
    assert size["parameters"] == gru(inputs) + around
    assert size["state_bytes"] == STATE_BYTES

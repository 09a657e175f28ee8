"""A llama of random weights, 0.5 MB, whose words are noise: python tiny_gguf.py OUT. Runs where `gguf` is installed.

It knows the bytes and a few words, which it likes to say; the weights of what cannot be printed are zero.
"""

from __future__ import annotations

import sys

import gguf
import numpy as np

WIDTH, LAYERS, HEADS, HIDDEN, CONTEXT, SEED = 64, 2, 4, 128, 4096, 7
SPACE = "\u2581"
WORDS = ["the", "a", "to", "of", "and", "in", "hello", "world", "harbour", "boat", "tide", "yes", "no"]
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


def vocabulary():
    """Give the tokens, what kind each is, and its score."""
    kinds = gguf.TokenType
    tokens = [("<unk>", kinds.UNKNOWN), ("<s>", kinds.CONTROL), ("</s>", kinds.CONTROL)]
    tokens += [(f"<0x{number:02X}>", kinds.BYTE) for number in range(256)]
    tokens += [(one, kinds.NORMAL) for one in (SPACE, *(SPACE + word for word in WORDS))]
    scores = [0.0 if kind is not kinds.NORMAL else -float(place) for place, (_, kind) in enumerate(tokens)]
    return [text.encode() for text, _ in tokens], [kind for _, kind in tokens], scores


def write(path):
    tokens, kinds, scores = vocabulary()
    out = gguf.GGUFWriter(path, "llama")
    out.add_name("noise")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(HIDDEN)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_vocab_size(len(tokens))
    out.add_tokenizer_model("llama")
    out.add_token_list(tokens)
    out.add_token_types(kinds)
    out.add_token_scores(scores)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_unk_token_id(0)
    out.add_chat_template(TEMPLATE)
    chance = np.random.default_rng(SEED)

    def noise(*shape):
        return (chance.standard_normal(shape) * 0.05).astype(np.float32)

    head = noise(len(tokens), WIDTH)
    for number, kind in enumerate(kinds):
        byte = number - 3
        if kind is gguf.TokenType.NORMAL:
            head[number] *= 2
        elif kind is not gguf.TokenType.BYTE or not 0x21 <= byte <= 0x7E:
            head[number] = 0
    out.add_tensor("token_embd.weight", noise(len(tokens), WIDTH))
    out.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    out.add_tensor("output.weight", head)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            out.add_tensor(f"{block}.{name}.weight", noise(WIDTH, WIDTH))
        for name in ("attn_norm", "ffn_norm"):
            out.add_tensor(f"{block}.{name}.weight", np.ones(WIDTH, np.float32))
        out.add_tensor(f"{block}.ffn_gate.weight", noise(HIDDEN, WIDTH))
        out.add_tensor(f"{block}.ffn_up.weight", noise(HIDDEN, WIDTH))
        out.add_tensor(f"{block}.ffn_down.weight", noise(WIDTH, HIDDEN))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    write(sys.argv[1])

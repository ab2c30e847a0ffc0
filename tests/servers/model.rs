//! A tiny language model of random weights, made from nothing: it says nonsense, and a real server serves it in earnest.
//!
//! Source of the formats: the GGUF specification, version 3, and the names that llama.cpp gives to tensors of `llama`.

use std::{fs, io, path::Path};

use serde_json::{Map, Value, json};

/// Sizes: of a hidden state, of a head, of the layer between; how many heads and layers.
const HIDDEN: usize = 128;
const HEAD: usize = 64;
const HEADS: usize = 2;
const BETWEEN: usize = 256;
const LAYERS: usize = 1;
/// The longest text that it was made for, in tokens.
const CONTEXT: u32 = 2048;

/// The tokens that are no text.
const SPECIAL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const TEMPLATE: &str = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// What is printable in ASCII, the blank and the line's end as byte-level tokenizers write them, and one pair of letters.
fn tokens() -> Vec<String> {
    let printable = ('!'..='~').chain(['\u{120}', '\u{10a}']).map(String::from);
    let special = SPECIAL.map(str::to_owned);
    special.into_iter().chain(printable).chain(["th".to_owned()]).collect()
}

/// Writes the model as one file that llama.cpp reads.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(path: &Path) -> io::Result<()> {
    let tokens = tokens();
    let types: Vec<i32> = (0..tokens.len())
        .map(|index| if index < SPECIAL.len() { 3 } else { 1 })
        .collect();
    let mut file = Gguf::default();
    file.text("general.architecture", "llama");
    file.text("general.name", "tiny");
    for (name, value) in [
        ("llama.context_length", CONTEXT),
        ("llama.embedding_length", number(HIDDEN)),
        ("llama.block_count", number(LAYERS)),
        ("llama.feed_forward_length", number(BETWEEN)),
        ("llama.attention.head_count", number(HEADS)),
        ("llama.attention.head_count_kv", number(HEADS)),
        ("llama.attention.key_length", number(HEAD)),
        ("llama.attention.value_length", number(HEAD)),
        ("llama.vocab_size", number(tokens.len())),
        ("tokenizer.ggml.bos_token_id", 0),
        ("tokenizer.ggml.eos_token_id", 2),
    ] {
        file.number(name, value);
    }
    file.float("llama.rope.freq_base", 10_000.0);
    file.float("llama.attention.layer_norm_rms_epsilon", 1e-6);
    file.text("tokenizer.ggml.model", "gpt2");
    file.text("tokenizer.ggml.pre", "gpt-2");
    file.texts("tokenizer.ggml.tokens", &tokens);
    file.numbers("tokenizer.ggml.token_type", &types);
    file.texts("tokenizer.ggml.merges", &["t h".to_owned()]);
    file.no("tokenizer.ggml.add_bos_token");
    file.text("tokenizer.chat_template", TEMPLATE);
    file.random("token_embd.weight", &[HIDDEN, tokens.len()]);
    file.random("output.weight", &[HIDDEN, tokens.len()]);
    file.ones("output_norm.weight");
    for layer in 0..LAYERS {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        for part in ["attn_q", "attn_k", "attn_v"] {
            file.random(&name(part), &[HIDDEN, HEADS * HEAD]);
        }
        file.random(&name("attn_output"), &[HEADS * HEAD, HIDDEN]);
        file.ones(&name("attn_norm"));
        file.random(&name("ffn_gate"), &[HIDDEN, BETWEEN]);
        file.random(&name("ffn_up"), &[HIDDEN, BETWEEN]);
        file.random(&name("ffn_down"), &[BETWEEN, HIDDEN]);
        file.ones(&name("ffn_norm"));
    }
    fs::write(path, file.bytes())
}

/// Writes what a server reads that takes models as `transformers` keep them, and makes up the weights itself.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write_without_weights(directory: &Path) -> io::Result<()> {
    let tokens = tokens();
    let vocabulary: Map<String, Value> = tokens
        .iter()
        .enumerate()
        .map(|(id, token)| (token.clone(), id.into()))
        .collect();
    let special = |(id, content): (usize, &str)| {
        json!({"id": id, "content": content, "special": true, "normalized": false,
            "single_word": false, "lstrip": false, "rstrip": false})
    };
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": SPECIAL.into_iter().enumerate().map(special).collect::<Vec<_>>(),
        "pre_tokenizer": bytes, "decoder": bytes,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": ["t h"], "fuse_unk": false, "byte_fallback": false,
            "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null},
    });
    let reader = json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT, "chat_template": TEMPLATE,
        "bos_token": SPECIAL[0], "eos_token": SPECIAL[2], "pad_token": SPECIAL[0],
    });
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32", "hidden_act": "silu",
        "vocab_size": tokens.len(), "hidden_size": HIDDEN, "intermediate_size": BETWEEN, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "head_dim": HEAD, "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-6, "rope_theta": 10_000.0, "tie_word_embeddings": false,
        "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0,
    });
    fs::create_dir_all(directory)?;
    for (name, value) in [
        ("tokenizer.json", tokenizer),
        ("tokenizer_config.json", reader),
        ("config.json", config),
    ] {
        fs::write(directory.join(name), value.to_string())?;
    }
    Ok(())
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap()
}

/// A file in the format GGUF, while it is made.
#[derive(Default)]
struct Gguf {
    facts: (u64, Vec<u8>),
    tensors: (u64, Vec<u8>),
    data: Vec<u8>,
    drawn: u32,
}

impl Gguf {
    fn fact(&mut self, name: &str, kind: u32, value: &[u8]) {
        self.facts.0 += 1;
        self.facts.1.extend(text(name));
        self.facts.1.extend(kind.to_le_bytes());
        self.facts.1.extend(value);
    }

    fn number(&mut self, name: &str, value: u32) {
        self.fact(name, 4, &value.to_le_bytes());
    }

    fn float(&mut self, name: &str, value: f32) {
        self.fact(name, 6, &value.to_le_bytes());
    }

    /// A fact that does not hold.
    fn no(&mut self, name: &str) {
        self.fact(name, 7, &[0]);
    }

    fn text(&mut self, name: &str, value: &str) {
        self.fact(name, 8, &text(value));
    }

    fn texts(&mut self, name: &str, values: &[String]) {
        let items = values.iter().flat_map(|value| text(value)).collect();
        self.list(name, 8, values.len(), items);
    }

    fn numbers(&mut self, name: &str, values: &[i32]) {
        let items = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.list(name, 5, values.len(), items);
    }

    fn list(&mut self, name: &str, kind: u32, count: usize, items: Vec<u8>) {
        let head = kind.to_le_bytes().into_iter().chain((count as u64).to_le_bytes());
        self.fact(name, 9, &head.chain(items).collect::<Vec<u8>>());
    }

    /// Weights between -0.05 and 0.05, the same each time.
    fn random(&mut self, name: &str, sizes: &[usize]) {
        let count = sizes.iter().product();
        let weights: Vec<f32> = (0..count).map(|_| self.draw()).collect();
        self.tensor(name, sizes, &weights);
    }

    fn ones(&mut self, name: &str) {
        self.tensor(name, &[HIDDEN], &[1.0; HIDDEN]);
    }

    /// The next number of a linear congruential generator (Numerical Recipes).
    fn draw(&mut self) -> f32 {
        self.drawn = self.drawn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let high = u16::try_from(self.drawn >> 16).unwrap();
        (f32::from(high) / 65_536.0 - 0.5) / 10.0
    }

    fn tensor(&mut self, name: &str, sizes: &[usize], weights: &[f32]) {
        self.tensors.0 += 1;
        self.tensors.1.extend(text(name));
        self.tensors.1.extend(number(sizes.len()).to_le_bytes());
        self.tensors
            .1
            .extend(sizes.iter().flat_map(|size| (*size as u64).to_le_bytes()));
        self.tensors.1.extend(0_u32.to_le_bytes());
        self.tensors.1.extend((self.data.len() as u64).to_le_bytes());
        self.data.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
        aligned(&mut self.data);
    }

    fn bytes(self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend(self.tensors.0.to_le_bytes());
        bytes.extend(self.facts.0.to_le_bytes());
        bytes.extend(self.facts.1);
        bytes.extend(self.tensors.1);
        aligned(&mut bytes);
        bytes.extend(self.data);
        bytes
    }
}

fn text(value: &str) -> Vec<u8> {
    let mut bytes = (value.len() as u64).to_le_bytes().to_vec();
    bytes.extend(value.bytes());
    bytes
}

fn aligned(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(32), 0);
}

//! Secrets and identifiers.

pub use web_ui::NoRandomness;

/// 256 random bits in base64url: 43 letters.
///
/// # Errors
/// The system gives none.
pub fn random_text() -> Result<String, NoRandomness> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|_| NoRandomness)?;
    Ok(jose::to_base64url(&random))
}

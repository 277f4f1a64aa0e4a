plugins {
    alias(libs.plugins.android.application)
}

android {
    namespace = "dev.mobiledet.app"
    compileSdk = libs.versions.compile.sdk.get().toInt()

    defaultConfig {
        applicationId = "dev.mobiledet.app"
        minSdk = libs.versions.min.sdk.get().toInt()
        targetSdk = libs.versions.compile.sdk.get().toInt()
        versionCode = 1
        versionName = "0.1.0"
    }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
        }
    }

    androidResources {
        noCompress += "mobiledet" // weights hardly shrink
    }

    testOptions.unitTests.isIncludeAndroidResources = true
}

dependencies {
    implementation(project(":mobiledet-android"))
    testImplementation(libs.junit)
    testImplementation(libs.robolectric)
}
